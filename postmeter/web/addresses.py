"""Public ids in addresses: `path("messages/<SM:message_id>/", …)` gives the view the id as an integer; anything else is a 404."""

from functools import cache

from django.urls import register_converter

from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import NotFound

PREFIXES = (
    "CU",
    "SM",
    "BA",
    "QU",
    "TA",
    "WA",
    "TU",
    "PM",
    "PY",
    "IN",
    "KE",
    "MB",
    "PL",
    "LE",
    "UP",
    "CS",
    "BI",
    "CR",
    "GR",
    "AD",
    "WE",
    "WD",
    "TH",
    "ME",
)


def _converter(prefix: str) -> type:
    class PublicId:
        regex = f"{prefix}[0-9a-f]{{32}}"

        def to_python(self, text: str) -> int:
            try:
                return public_ids().decode(prefix, text)
            except NotFound as refusal:
                raise ValueError(text) from refusal

        def to_url(self, id_: int | str) -> str:
            return public_ids().encode(prefix, int(id_))

    return PublicId


@cache
def register() -> None:
    """Once in a process, however many lists of addresses ask for it."""
    for prefix in PREFIXES:
        register_converter(_converter(prefix), prefix)
