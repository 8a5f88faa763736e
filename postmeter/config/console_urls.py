"""Addresses of the operator's pages, see console.py."""

from django.urls import include, path

from postmeter.config.urls import live, ready

urlpatterns = [
    path("livez", live),
    path("readyz", ready),
    path("accounts/", include("allauth.urls")),
    path("", include("postmeter.web.operator.urls")),
]
