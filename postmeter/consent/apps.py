from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "postmeter.consent"
    label = "consent"
