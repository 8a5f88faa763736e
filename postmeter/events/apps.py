from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "postmeter.events"
    label = "events"
