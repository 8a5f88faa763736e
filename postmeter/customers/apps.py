from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "postmeter.customers"
    label = "customers"
