"""The gateway's objects, kept as they are answered, with what only the simulator knows beside them."""

import json
import re
import secrets
import string
from typing import Any

from postmeter.simulator.stripe.errors import invalid, no_such
from postmeter.simulator.world import World

LETTERS = string.ascii_letters + string.digits
PREFIXES = {
    "customer": "cus",
    "checkout.session": "cs_test",
    "setup_intent": "seti",
    "payment_method": "pm",
    "payment_intent": "pi",
    "charge": "ch",
    "refund": "re",
    "dispute": "dp",
    "event": "evt",
    "webhook_endpoint": "we",
}
FILTERS = frozenset({"customer", "payment_intent", "charge", "type", "status", "email", "setup_intent"})
COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
CLAUSE = re.compile(
    r"""\s*(?:metadata\[["'](?P<meta>[^"']+)["']\]|(?P<field>status|customer|currency))\s*:\s*["'](?P<value>[^"']*)["']\s*"""
)

Thing = dict[str, Any]


class Store:
    def __init__(self, world: World) -> None:
        self._world = world
        self._log = world.log

    def new_id(self, kind: str) -> str:
        return f"{PREFIXES[kind]}_{''.join(secrets.choice(LETTERS) for _ in range(24))}"

    def now(self) -> int:
        return int(self._world.clock.now())

    def keep(self, thing: Thing, *, inner: Thing | None = None, hidden: float = 0) -> Thing:
        """Adds a new thing, which lists show after `hidden` seconds, or replaces the one with its id."""
        visible_from = self._world.clock.now() + hidden
        self._log.execute(
            "INSERT INTO objects (id, kind, created, visible_from, data, inner) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET data = excluded.data",
            (thing["id"], thing["object"], thing["created"], visible_from, json.dumps(thing), json.dumps(inner or {})),
        )
        return thing

    def change(self, thing: Thing, **facts: Any) -> Thing:
        return self.keep({**thing, **facts})

    def find(self, kind: str, object_id: str) -> Thing:
        row = self._log.row("SELECT data FROM objects WHERE id = ? AND kind = ?", (object_id, kind))
        if row is None:
            raise no_such(kind, object_id)
        found: Thing = json.loads(row["data"])
        return found

    def inner(self, object_id: str) -> Thing:
        row = self._log.row("SELECT inner FROM objects WHERE id = ?", (object_id,))
        found: Thing = json.loads(row["inner"]) if row else {}
        return found

    def change_inner(self, object_id: str, inner: Thing) -> None:
        self._log.execute("UPDATE objects SET inner = ? WHERE id = ?", (json.dumps(inner), object_id))

    def remove(self, object_id: str) -> None:
        self._log.execute("DELETE FROM objects WHERE id = ?", (object_id,))

    def all(self, kind: str) -> list[Thing]:
        return [
            json.loads(row["data"])
            for row in self._log.rows("SELECT data FROM objects WHERE kind = ? ORDER BY position", (kind,))
        ]

    def listing(self, kind: str, params: Thing, url: str) -> Thing:
        """Newest first, by Stripe's cursors (`starting_after`, `ending_before`, `limit`) and filters."""
        conditions, values = self._conditions(kind, params)
        backwards = "ending_before" in params
        for name, sign in (("starting_after", "<"), ("ending_before", ">")):
            if name in params:
                self.find(kind, params[name])
                conditions.append(f"position {sign} (SELECT position FROM objects WHERE id = ?)")  # noqa: S608
                values.append(params[name])
        limit = _limit(params)
        order = "ASC" if backwards else "DESC"
        rows = self._log.rows(
            f"SELECT data FROM objects WHERE {' AND '.join(conditions)} ORDER BY position {order} LIMIT ?",  # noqa: S608
            (*values, limit + 1),
        )
        shown = [json.loads(row["data"]) for row in rows[:limit]]
        return {"object": "list", "data": shown[::-1] if backwards else shown, "has_more": len(rows) > limit, "url": url}

    def search(self, kind: str, params: Thing, url: str) -> Thing:
        """Stripe's query language as far as `metadata['a']:'b' AND status:'c'`."""
        conditions, values = ["kind = ?", "visible_from <= ?"], [kind, self._world.clock.now()]
        for clause in params.get("query", "").split(" AND "):
            found = CLAUSE.fullmatch(clause)
            if not found:
                raise invalid(
                    "query", "The simulator understands metadata['key']:'value', status, customer and currency, joined by AND."
                )
            conditions.append("json_extract(data, ?) = ?")
            values += [f'$.metadata."{found["meta"]}"' if found["meta"] else f"$.{found['field']}", found["value"]]
        limit, page = _limit(params), int(params.get("page") or 0)
        rows = self._log.rows(
            f"SELECT data FROM objects WHERE {' AND '.join(conditions)} ORDER BY position DESC LIMIT ? OFFSET ?",  # noqa: S608
            (*values, limit + 1, page * limit),
        )
        more = len(rows) > limit
        shown = [json.loads(row["data"]) for row in rows[:limit]]
        return {
            "object": "search_result",
            "data": shown,
            "has_more": more,
            "next_page": str(page + 1) if more else None,
            "url": url,
        }

    def expand(self, thing: Any, paths: list[str]) -> Any:
        """Puts whole objects where `thing` names them: `expand[]=latest_charge`, `expand[]=data.customer`."""
        for path in paths:
            self._expand(thing, path.split("."))
        return thing

    def _expand(self, thing: Any, steps: list[str]) -> None:
        if isinstance(thing, list):
            for one in thing:
                self._expand(one, steps)
            return
        if not steps or not isinstance(thing, dict) or thing.get(steps[0]) is None:
            return
        value = thing[steps[0]]
        if isinstance(value, str):
            row = self._log.row("SELECT data FROM objects WHERE id = ?", (value,))
            value = thing[steps[0]] = json.loads(row["data"]) if row else value
        self._expand(value, steps[1:])

    def _conditions(self, kind: str, params: Thing) -> tuple[list[str], list[Any]]:
        conditions, values = ["kind = ?", "visible_from <= ?"], [kind, self._world.clock.now()]
        for name in sorted(FILTERS & set(params)):
            conditions.append(f"json_extract(data, '$.{name}') = ?")
            values.append(params[name])
        created = params.get("created", {})
        for name, value in created.items() if isinstance(created, dict) else [("gte", created), ("lte", created)]:
            conditions.append(f"created {COMPARISONS[name]} ?")
            values.append(int(value))
        return conditions, values


def _limit(params: Thing) -> int:
    limit = int(params.get("limit") or 10)
    if not 1 <= limit <= 100:
        raise invalid("limit", "This value must be between 1 and 100.")
    return limit
