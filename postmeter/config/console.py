"""The operator's pages: a process of its own, with its own address, login to the database, and cookies.

It serves no customer, no API and no callback, so it need not be reachable from where customers are.
"""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")
os.environ["POSTMETER_CONSOLE"] = "1"

from django.conf import settings
from django.core.asgi import get_asgi_application

from postmeter.config.secrets import refuse_without

refuse_without()

_pages = get_asgi_application()

from postmeter.web.bodies import LimitedBodies  # noqa: E402 - Django must be set up first

_limited = LimitedBodies(_pages, at_most=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await _limited(scope, receive, send)
