from django.apps import AppConfig


class InvoicingConfig(AppConfig):
    name = "postmeter.invoicing"
    label = "invoicing"
