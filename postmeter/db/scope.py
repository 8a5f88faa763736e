"""Whose rows a transaction may see.

`customer(5)` opens a transaction in which row-level security shows customer 5 and nobody else; without a scope the
application's role sees no business row at all. Nothing here replaces the `customer_id` in each query: it stands below it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection, transaction

from postmeter.db.roles import roles_of

EVERYBODY = 0  # the customer_id of what belongs to all of them: a plan's prices, facts about the operator's own doings
P = ParamSpec("P")
R = TypeVar("R")

_customer: ContextVar[int | None] = ContextVar("customer", default=None)


def current_customer() -> int | None:
    return _customer.get()


@contextmanager
def customer(customer_id: int) -> Iterator[None]:
    """One transaction that sees one customer. Inside the same customer's scope it joins the transaction that is open."""
    outer = _customer.get()
    if outer == customer_id and connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        _set(customer_id)
        token = _customer.set(customer_id)
        try:
            yield
        finally:
            _customer.reset(token)
        if outer is not None:
            _set(outer)


@contextmanager
def snapshot(customer_id: int) -> Iterator[None]:
    """Like `customer`, reading one moment: what commits meanwhile is not seen. For checks and reports; writes nothing."""
    outermost = not connection.in_atomic_block
    with customer(customer_id) if not outermost else transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            _set(customer_id)
            token = _customer.set(customer_id)
        try:
            yield
        finally:
            if outermost:
                _customer.reset(token)


@contextmanager
def every_customer() -> Iterator[None]:
    """One transaction that sees every customer. Only the worker's and the command line's login may take it."""
    every = roles_of(str(connection.settings_dict["NAME"])).every
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            before = cursor.fetchone()[0]
            cursor.execute(f"SET LOCAL ROLE {connection.ops.quote_name(every)}")
        yield
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {connection.ops.quote_name(before)}")


@contextmanager
def signed_in(user_id: int) -> Iterator[None]:
    """One transaction that sees the seats of one person, whichever customers they belong to."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Quoted, for the word is SQL's.
            cursor.execute(f"""SET LOCAL app."user" = '{int(user_id)}'""")
        yield
        with connection.cursor() as cursor:
            cursor.execute("""SET LOCAL app."user" = '0'""")


def scoped(function: Callable[P, R]) -> Callable[P, R]:
    """For operations and queries: runs `function(*, customer_id, …)` in that customer's scope, joining one that is open."""

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        customer_id = kwargs["customer_id"]
        assert isinstance(customer_id, int)
        with customer(customer_id):
            return function(*args, **kwargs)

    return inner


def _set(customer_id: int) -> None:
    # SET LOCAL, not set_config(): it ends with the transaction and is the form that a distributed database passes on.
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL app.customer = '{int(customer_id)}'")
