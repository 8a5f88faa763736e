from django.apps import AppConfig


class StatementsConfig(AppConfig):
    name = "postmeter.statements"
    label = "statements"
