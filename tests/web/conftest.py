"""Pages as a member sees them, through Django's client."""

from collections.abc import Callable

import pytest
from django.test import Client

from postmeter.customers.models import User
from postmeter.customers.queries import Seat
from tests.cast import PASSWORD

SignedIn = Callable[[Seat], Client]


@pytest.fixture
def signed_in() -> SignedIn:
    """A browser in which this person is signed in."""

    def open_browser(seat: Seat) -> Client:
        client = Client()
        client.force_login(User.objects.get(id=seat.user_id), "allauth.account.auth_backends.AuthenticationBackend")
        return client

    return open_browser


@pytest.fixture
def confirmed(signed_in: SignedIn) -> SignedIn:
    """The same, and the person has just typed their password again."""

    def open_browser(seat: Seat) -> Client:
        client = signed_in(seat)
        answer = client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert answer.status_code == 302, "the password was not taken"
        return client

    return open_browser
