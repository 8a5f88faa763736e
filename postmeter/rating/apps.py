from django.apps import AppConfig


class RatingConfig(AppConfig):
    name = "postmeter.rating"
    label = "rating"
