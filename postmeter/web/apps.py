from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "postmeter.web"
    label = "web"
