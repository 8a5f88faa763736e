"""Requests to addresses that customers typed in: never to ourselves or into the operator's network (ASVS 1.3.6, SSRF).

A name is looked up once, every address that it has must be public, and the request goes to that very address: a name that leads
elsewhere a moment later gains nothing. Redirects are not followed.
"""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from postmeter.kit.refusals import BadInput

SECONDS = 10.0
LONGEST_URL = 2_000


class ForbiddenAddress(BadInput):
    """We do not post to this address."""

    code = "forbidden_address"


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, or none and why."""

    status: int | None
    problem: str = ""

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def check(url: str) -> str:
    """The address, if it may be posted to. Raises ForbiddenAddress with its remedy."""
    _resolved(url)
    return url


def post(url: str, *, body: str, headers: Mapping[str, str]) -> Answer:
    """One attempt; never raises. What is answered is not read: only whether it was taken."""
    try:
        address, host, port = _resolved(url)
    except ForbiddenAddress as refusal:
        return Answer(None, refusal.text)
    parts = urlsplit(url)
    named = f"[{address}]" if ":" in address else address
    target = parts._replace(netloc=f"{named}:{port}", fragment="").geturl()
    try:
        with (
            httpx.Client(timeout=SECONDS, trust_env=False, follow_redirects=False) as client,
            client.stream(
                "POST",
                target,
                content=body.encode(),
                headers={**headers, "host": parts.netloc.rpartition("@")[2]},
                extensions={"sni_hostname": host},
            ) as answer,
        ):
            return Answer(answer.status_code)
    except httpx.TimeoutException:
        return Answer(None, f"No answer within {SECONDS:.0f} seconds.")
    except httpx.HTTPError as error:
        return Answer(None, str(error)[:300] or type(error).__name__)


def _resolved(url: str) -> tuple[str, str, int]:
    """An address, the host's name and the port."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise _forbidden("This is not an address.") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.WEBHOOKS_LOCAL):
        raise _forbidden("Only https addresses are told.")
    if not parts.hostname or parts.username or parts.password or len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        raise _forbidden("This is not an address.")
    try:
        found = [str(row[4][0]) for row in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)]
    except (socket.gaierror, UnicodeError):
        raise _forbidden("This host is not known.") from None
    for each in found:
        if not _is_public(each):
            raise _forbidden("This host is not on the public internet.")
    return found[0], parts.hostname, port


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return _is_public(str(address.ipv4_mapped))
        if address.sixtofour or address.teredo:
            return False
    if settings.WEBHOOKS_LOCAL and address.is_loopback:
        return True
    return address.is_global and not address.is_multicast


def _forbidden(text: str) -> ForbiddenAddress:
    return ForbiddenAddress(
        text, field="url", remedy="Write an https address that the internet reaches, such as https://example.com/hook."
    )
