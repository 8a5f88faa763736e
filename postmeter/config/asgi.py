"""One address: the API and the callbacks are Litestar's, everything else is Django's (docs/decisions).

Each door is an ASGI application of its own and can run alone.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")

from django.core.asgi import get_asgi_application

pages = get_asgi_application()

from postmeter.api.app import create_app as create_api  # noqa: E402 - Django must be set up first
from postmeter.callbacks.app import create_app as create_callbacks  # noqa: E402

api = create_api()
callbacks = create_callbacks()

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await api(scope, receive, send)  # type: ignore[arg-type]
        return
    path = scope.get("path", "")
    if path.startswith("/v1/") or path == "/v1":
        await api(scope, receive, send)  # type: ignore[arg-type]
    elif path.startswith("/callbacks/"):
        await callbacks(scope, receive, send)  # type: ignore[arg-type]
    else:
        await pages(scope, receive, send)
