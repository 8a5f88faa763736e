"""The API on the tests' database, as an application, and callers with keys of their own."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from litestar.testing import TestClient

from postmeter.api.app import create_app
from postmeter.customers import operations as customers
from postmeter.customers.permissions import SCOPES
from tests.cast import Cast, Clinic, at


@dataclass
class Caller:
    """A program of a clinic's."""

    client: "TestClient[Any]"
    clinic: Clinic
    key_id: int
    secret: str

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.secret}", **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self("GET", path, **more)

    def post(self, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        return self("POST", path, headers=headers, **({} if body is None else {"json": body}))


@pytest.fixture(scope="session")
def client(database: str) -> "Iterator[TestClient[Any]]":
    with TestClient(create_app(), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def harbour(cast: Cast) -> Clinic:
    return cast.clinic()


@pytest.fixture
def rival(cast: Cast) -> Clinic:
    return cast.clinic(name="Rival Podiatry")


@pytest.fixture
def api(client: "TestClient[Any]", harbour: Clinic) -> Caller:
    return caller(client, harbour)


def issue_key(clinic: Clinic, *, mode: str = "live", scopes: Iterable[str] = SCOPES) -> tuple[int, str]:
    """A new key's id, and the key."""
    key, secret = customers.create_api_key(
        customer_id=clinic.id, name=f"program {at().timestamp()}", mode=mode, scopes=scopes, now=at(), actor=clinic.actor
    )
    return key.id, secret


def caller(client: "TestClient[Any]", clinic: Clinic, *, mode: str = "live", scopes: Iterable[str] = SCOPES) -> Caller:
    return Caller(client, clinic, *issue_key(clinic, mode=mode, scopes=scopes))
