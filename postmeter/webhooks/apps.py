from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "postmeter.webhooks"
    label = "webhooks"
