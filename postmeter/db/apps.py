from django.apps import AppConfig


class DbConfig(AppConfig):
    name = "postmeter.db"
    label = "db"
