"""A thread with a database connection of its own, for code that runs in an event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psycopg
from django.db import InterfaceError, OperationalError, close_old_connections, connection

T = TypeVar("T")
# Set-based statements go to psycopg itself (db/calls.py), the rest through Django, which wraps its errors.
DATABASE_AWAY = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)


class DatabaseThread:
    """Does one piece of work after the other, each on the same connection; a broken connection is replaced."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, name)

    async def do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, _fresh, work)

    def close(self) -> None:
        """Close the connection and end the thread, after the work that was given."""
        self._executor.submit(lambda: connection.close())  # resolved there, not here
        self._executor.shutdown(wait=True)


def _fresh(work: Callable[[], T]) -> T:
    close_old_connections()
    return work()
