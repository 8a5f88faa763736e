"""Stripe's form encoding: `metadata[order]=7`, `expand[]=customer`, `created[gte]=1` to nested dicts and lists."""

import re
from typing import Any

PART = re.compile(r"[^\[\]]+|\[\]")


def nest(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    top: dict[str, Any] = {}
    for name, value in pairs:
        *way, last = PART.findall(name) or [name]
        place = top
        for step in way:
            place = place.setdefault(_key(step, place), {})
        place[_key(last, place)] = value
    return {name: _with_lists(value) for name, value in top.items()}


def _key(step: str, place: dict[str, Any]) -> str:
    return str(len(place)) if step == "[]" else step


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if all(key.isdigit() for key in value):
        return [_with_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _with_lists(inner) for key, inner in value.items()}


def is_true(value: object) -> bool:
    return value in ("true", True)
