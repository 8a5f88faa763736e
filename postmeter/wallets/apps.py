from django.apps import AppConfig


class WalletsConfig(AppConfig):
    name = "postmeter.wallets"
    label = "wallets"
