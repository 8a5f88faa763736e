"""One address: the API and the callbacks are Litestar's, everything else is Django's (docs/decisions).

Each door is an ASGI application of its own and can run alone.
"""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application

from postmeter.config.secrets import refuse_without

refuse_without()

django_pages = get_asgi_application()

from postmeter.api.app import create_app as create_api  # noqa: E402 - Django must be set up first
from postmeter.callbacks.app import create_app as create_callbacks  # noqa: E402
from postmeter.web.bodies import LimitedBodies  # noqa: E402

pages = LimitedBodies(django_pages, at_most=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
api = create_api()
callbacks = create_callbacks()


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await api(scope, receive, send)
        return
    path = scope.get("path", "")
    if path.startswith("/v1/") or path == "/v1":
        await api(scope, receive, send)
    elif path.startswith("/callbacks/"):
        await callbacks(scope, receive, send)
    else:
        await pages(scope, receive, send)
