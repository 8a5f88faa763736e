"""Addresses of the pages. Names are what `context.NAVIGATION` and templates use."""

from django.conf import settings
from django.urls import path

from postmeter.web import addresses
from postmeter.web.style import style
from postmeter.web.theme import choose_theme
from postmeter.web.views import overview

addresses.register()

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("customers/choose/", overview.choose_customer, name="choose-customer"),
    path("theme/", choose_theme, name="theme"),
]
if settings.DEBUG:
    urlpatterns += [path("style/", style, name="style")]
