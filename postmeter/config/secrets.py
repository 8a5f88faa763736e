"""What a process that serves must have been told, before it serves anybody."""

import os

from django.core.exceptions import ImproperlyConfigured

NEEDED = {
    "POSTMETER_SECRET_KEY": "python -c 'import secrets; print(secrets.token_urlsafe(50))'",
    "POSTMETER_ID_KEY": "python -c 'import secrets; print(secrets.token_hex(16))'",
}


def refuse_without() -> None:
    """Raise ImproperlyConfigured if a secret is missing: the settings' own values are published with the code.

    They are the same on every process of an install; `postmeter run` makes them once and keeps them in its home.
    """
    for name, recipe in NEEDED.items():
        if not os.environ.get(name):
            raise ImproperlyConfigured(
                f"{name} is not set, and without it anybody could sign what we sign. Make one with: {recipe}"
            )
