from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "postmeter.contacts"
    label = "contacts"
