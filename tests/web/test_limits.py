"""What a stranger may not do: guess passwords for long, or send more than a page takes; through the doors as processes."""

import http.client
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import Client

from postmeter.web import uploads
from postmeter.web.bodies import LimitedBodies
from tests.cast import PASSWORD, Cast
from tests.stage import Stage

AT_MOST = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
BUSY = "Too many failed login attempts"


class Visitor:
    """Somebody at an address of their own: every 127.0.0.x is one."""

    def __init__(self, stage: Stage, address: str) -> None:
        self._stage, self._address = stage, address

    def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._stage.port, timeout=60, source_address=(self._address, 0))
        connection.request(method, path, body, headers or {}, encode_chunked=not isinstance(body, bytes | str | None))  # type: ignore[arg-type]
        answer = connection.getresponse()
        found = answer.status, answer.read().decode(), answer.getheader("Set-Cookie") or ""
        connection.close()
        return found

    def sign_in(self, email: str, password: str) -> tuple[int, str]:
        _, page, cookie = self.ask("GET", "/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        kept = re.search(r"csrftoken=\w+", cookie)
        assert token, page
        assert kept, cookie
        form = urlencode({"login": email, "password": password, "csrfmiddlewaretoken": token[1]})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": kept[0], "Referer": self._stage.url}
        status, page, _ = self.ask("POST", "/accounts/login/", form, headers)
        return status, page


def test_guesses_at_one_account_are_counted_wherever_they_come_from(cast: Cast, stage: Stage) -> None:
    # ASVS 6.3.1
    clinic, other = cast.clinic(), cast.clinic()
    for n in range(5):
        status, page = Visitor(stage, f"127.0.1.{n + 1}").sign_in(clinic.master.email, "a wrong guess at it")
        assert (status, BUSY in page) == (200, False), n
    status, page = Visitor(stage, "127.0.1.9").sign_in(clinic.master.email, PASSWORD)
    assert (status, BUSY in page) == (200, True), "the right password does not help either"
    assert Visitor(stage, "127.0.1.9").sign_in(other.master.email, PASSWORD)[0] == 302


def test_guesses_from_one_address_are_counted_whichever_account_they_try(cast: Cast, stage: Stage) -> None:
    # ASVS 6.3.1
    clinic, guesser = cast.clinic(), Visitor(stage, "127.0.2.1")
    for n in range(10):
        assert BUSY not in guesser.sign_in(f"nobody-{n}@clinic.example", "a wrong guess at it")[1], n
    assert BUSY in guesser.sign_in(clinic.master.email, PASSWORD)[1]
    assert Visitor(stage, "127.0.2.2").sign_in(clinic.master.email, PASSWORD)[0] == 302


def test_a_client_behind_our_proxy_is_told_apart_and_cannot_name_its_own_address(settings: object) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1  # type: ignore[attr-defined]

    def asked_too_often(forwarded: str) -> bool:
        browser = Client(REMOTE_ADDR="203.0.113.1", HTTP_X_FORWARDED_FOR=forwarded)
        form = {"login": "nobody@clinic.example", "password": "x"}
        return any(browser.post("/accounts/login/", form).status_code == 429 for _ in range(31))

    assert asked_too_often("198.51.100.7")
    page = Client(HTTP_X_FORWARDED_FOR="10.0.0.1, 198.51.100.7").post("/accounts/login/", {"login": "a", "password": "x"})
    assert (page.status_code, "Try again in five minutes." in page.content.decode()) == (429, True)
    assert Client(HTTP_X_FORWARDED_FOR="198.51.100.8").post("/accounts/login/", {"login": "a"}).status_code == 200


def test_a_body_that_says_it_is_too_large_is_refused_on_a_page(stage: Stage) -> None:
    status, page, _ = Visitor(stage, "127.0.0.1").ask("POST", "/accounts/login/", b"x" * (AT_MOST + 1))
    assert status == 413
    assert "larger than 6 MB" in page
    assert "Nothing was changed" in page


def test_a_body_that_does_not_say_how_large_it_is_is_counted(stage: Stage) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(AT_MOST // 65_536 + 1):
            yield b"x" * 65_536

    status, page, _ = Visitor(stage, "127.0.0.1").ask("POST", "/accounts/login/", parts())
    assert (status, "larger than 6 MB" in page) == (413, True)


@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 413)])
def test_the_last_byte_decides(size: int, status: int) -> None:
    """Without a declared length, in two parts; the application inside never sees more than its share."""
    events = [
        {"type": "http.request", "body": b"x" * 60, "more_body": True},
        {"type": "http.request", "body": b"x" * (size - 60)},
    ]
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return events.pop(0)  # type: ignore[return-value]

    async def send(event: dict[str, object]) -> None:
        sent.append(event)

    async def pages(scope: object, receive: object, send: object) -> None:
        more = True
        while more:
            event = await receive()  # type: ignore[operator]
            if event["type"] == "http.disconnect":
                return
            more = event.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]

    async_to_sync(LimitedBodies(pages, at_most=100))({"type": "http", "headers": []}, receive, send)
    assert sent[0]["status"] == status


def test_the_largest_list_fits_into_a_request() -> None:
    assert uploads.MAX_BYTES + 512 * 1024 <= AT_MOST
