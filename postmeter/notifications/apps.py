from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "postmeter.notifications"
    label = "notifications"
