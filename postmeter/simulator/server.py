"""granian inside our own process: one process to start, to stop and to kill."""

import asyncio
import gc
import signal
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server


async def serve(app: Any, port: int) -> None:
    """Listens on 127.0.0.1 until SIGINT or SIGTERM."""
    server = Server(
        app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, backlog=1024, log_enabled=False, websockets=False
    )
    gc.freeze()  # what is loaded stays; looking through it took 7 % of the time under load
    gc.set_threshold(50_000, 20, 20)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    await server.serve()
