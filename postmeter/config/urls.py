"""Addresses of the pages. The API and the callbacks stand beside Django, see asgi.py."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from postmeter.callbacks import esp


def live(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("live\n", content_type="text/plain")


def ready(request: HttpRequest) -> HttpResponse:
    """The process can do its work: the database answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ready\n", content_type="text/plain")


urlpatterns = [
    path("livez", live),
    path("readyz", ready),
    path("accounts/", include("allauth.urls")),
    path("hooks/email/<slug:esp>/<slug:kind>/", esp.hook),
    path("", include("postmeter.web.urls")),
]
