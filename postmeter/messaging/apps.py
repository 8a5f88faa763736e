from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "postmeter.messaging"
    label = "messaging"
