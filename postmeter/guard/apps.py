from django.apps import AppConfig


class GuardConfig(AppConfig):
    name = "postmeter.guard"
    label = "guard"
