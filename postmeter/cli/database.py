"""How the command line reaches the database: the environment's, else the one that runs in POSTMETER_HOME."""

import os


def connect() -> None:
    """Set Django up with the worker's login."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")
    import django

    django.setup()
