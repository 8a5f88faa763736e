"""Threads for work that waits: the database and gateways. Each keeps one database connection and looks after it sensibly."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

P = ParamSpec("P")
R = TypeVar("R")

# A connection that was used a moment ago is taken as good: asking first would be a round trip for each request.
FRESH_SECONDS = 1.0


class Threads:
    """A few named threads. Work given to them may use Django's database connection."""

    def __init__(self, name: str, count: int) -> None:
        self._count = count
        self._pool = ThreadPoolExecutor(count, name)
        self._used = threading.local()

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it in one of the threads and wait for its answer."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: self._call(function, *args, **kwargs))

    def _call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if time.monotonic() - getattr(self._used, "at", 0.0) > FRESH_SECONDS:
            close_old_connections()
        try:
            return function(*args, **kwargs)
        except Exception:
            close_old_connections()  # closes what an error has broken, keeps what is well
            raise
        finally:
            self._used.at = time.monotonic()

    def close(self) -> None:
        """Wait for what is under way and close every thread's connections."""
        everybody = threading.Barrier(self._count)

        def leave() -> None:
            connections.close_all()
            everybody.wait(10)

        for _ in range(self._count):
            self._pool.submit(leave)
        self._pool.shutdown()
