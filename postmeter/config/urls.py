"""Addresses of the pages. The API and the callbacks stand beside Django, see asgi.py."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Postmeter")


urlpatterns = [path("", home), path("accounts/", include("allauth.urls"))]
