"""What the trunk's process is told; docs/operating/sip.md says it in words."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from postmeter.kit.refusals import BadInput

CODECS = frozenset({"pcmu", "pcma"})  # nothing else carries a fax
TRANSPORTS = frozenset({"udp", "tcp"})
SECRET_AT_LEAST = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """`carrier` is host or host:port; `at` is the address of ours that the carrier sends to, port 0 is any."""

    carrier: str
    user: str
    password: str
    transport: Literal["udp", "tcp"]
    at: tuple[str, int]
    codecs: tuple[str, ...]
    plus: bool
    lines: int
    retries: int
    retry_seconds: int
    secret: str
    listen: tuple[str, int]
    folder: Path

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises BadInput naming the variable."""
        told = {name: value for name, value in environment.items() if value}
        codecs = tuple(told.get("POSTMETER_SIP_CODECS", "pcmu,pcma").split(","))
        if not set(codecs) <= CODECS:
            raise _wrong("POSTMETER_SIP_CODECS", "It takes pcmu, pcma or both, by a comma.")
        transport = told.get("POSTMETER_SIP_TRANSPORT", "udp")
        if transport not in TRANSPORTS:
            raise _wrong("POSTMETER_SIP_TRANSPORT", "It takes udp or tcp; for TLS put a session border controller in front.")
        return cls(
            carrier=_matching(told, "POSTMETER_SIP_HOST", r"[\w.:\[\]-]+", "Give the carrier's host, or host:port."),
            user=_matching(told, "POSTMETER_SIP_USER", r"[^\s@:;<>\"\\]*", "Leave out blanks and @:;<>.", ""),
            password=_matching(told, "POSTMETER_SIP_PASSWORD", r"[^\"\\]*", 'Leave out " and \\.', ""),
            transport="tcp" if transport == "tcp" else "udp",
            at=_place("POSTMETER_SIP_AT", told.get("POSTMETER_SIP_AT", "0.0.0.0:0")),
            codecs=codecs,
            plus=told.get("POSTMETER_SIP_PLUS", "1") == "1",
            lines=_number(told, "POSTMETER_SIP_LINES", 20, 1, 200),
            retries=_number(told, "POSTMETER_SIP_RETRIES", 2, 0, 10),
            retry_seconds=_number(told, "POSTMETER_SIP_RETRY_SECONDS", 60, 0, 3600),
            secret=_secret(told),
            listen=_listen(told.get("POSTMETER_SIP_URL", "http://127.0.0.1:8005")),
            folder=Path(environment.get("POSTMETER_HOME", ".postmeter")) / "trunk",
        )


def _wrong(name: str, remedy: str) -> BadInput:
    return BadInput(f"{name} cannot be meant so.", field=name, remedy=remedy)


def _matching(told: Mapping[str, str], name: str, pattern: str, remedy: str, default: str | None = None) -> str:
    value = told.get(name, default)
    if value is None or not re.fullmatch(pattern, value):
        raise _wrong(name, remedy)
    return value


def _number(told: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = told.get(name, str(default))
    if not value.isdecimal() or not least <= int(value) <= most:
        raise _wrong(name, f"Give a number from {least} to {most}.")
    return int(value)


def _place(name: str, value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":") if ":" in value else (value, "", "0")
    if not port.isdecimal() or int(port) > 65_535:
        raise _wrong(name, "Give an address, or address:port.")
    return host, int(port)


def _listen(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 8005


def _secret(told: Mapping[str, str]) -> str:
    value = told.get("POSTMETER_SIP_SECRET", "")
    if len(value) < SECRET_AT_LEAST or not value.isascii() or not value.isprintable():
        raise _wrong("POSTMETER_SIP_SECRET", "Give our side and the trunk the same one: openssl rand -hex 24.")
    return value
