from django.apps import AppConfig


class CostsConfig(AppConfig):
    name = "postmeter.costs"
    label = "costs"
