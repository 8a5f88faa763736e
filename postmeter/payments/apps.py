from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "postmeter.payments"
    label = "payments"
