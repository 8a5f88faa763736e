from django.apps import AppConfig


class TermsConfig(AppConfig):
    name = "postmeter.terms"
    label = "terms"
