from django.apps import AppConfig


class TopupsConfig(AppConfig):
    name = "postmeter.topups"
    label = "topups"
