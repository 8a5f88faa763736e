from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "postmeter.ledger"
    label = "ledger"
