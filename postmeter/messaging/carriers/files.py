"""Files that came in: fetched from the provider that keeps them."""

from urllib.parse import urljoin, urlsplit

import httpx

from postmeter.messaging.providers import HttpProvider

BYTES_AT_MOST = 10_000_000
SECONDS = 30.0
_MOVED = frozenset({301, 302, 303, 307, 308})


class NotFetched(Exception):
    """The provider does not give it now. Trying again may help."""


def fetch(provider: HttpProvider, url: str) -> bytes:
    """The file at an address of the provider's. Raises Forged for another address, NotFetched."""
    asked = provider.file(url)
    try:
        with httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client:
            status, place, content = _get(client, url, dict(asked.headers))
            if status in _MOVED:
                # To where it stores files, once, and without our password.
                target = urljoin(url, place)
                if urlsplit(target).scheme != "https" and urlsplit(target).netloc != urlsplit(url).netloc:
                    raise NotFetched("the provider sends us to an address without TLS")
                status, _, content = _get(client, target, {})
    except httpx.HTTPError as error:
        raise NotFetched(type(error).__name__) from error
    if status != httpx.codes.OK:
        raise NotFetched(f"status {status}")
    return content


def _get(client: httpx.Client, url: str, headers: dict[str, str]) -> tuple[int, str, bytes]:
    with client.stream("GET", url, headers=headers) as answer:
        content = b""
        for part in answer.iter_bytes():
            content += part
            if len(content) > BYTES_AT_MOST:
                raise NotFetched("it is too big")
        return answer.status_code, answer.headers.get("location", ""), content
