"""Every kind of fact that is recorded stands in the table of reactions, and nothing else does."""

import ast
from collections.abc import Iterator
from pathlib import Path

from postmeter.config.reactions import REACTIONS
from postmeter.payments.states import MACHINE, PaymentState

ROOMS = Path(__file__).resolve().parents[2] / "postmeter"
# Kinds that are made of a state; nobody else may compute a kind. A gateway never says created or calling: these are ours.
COMPUTED = {
    "payment.{}": {
        f"payment.{state}" for state in set().union(*MACHINE.arrows.values()) - {PaymentState.CREATED, PaymentState.CALLING}
    },
}


def recorded_in_python() -> Iterator[str]:
    for path in ROOMS.glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "events.record":
                yield from kinds_of(node.args[0])


def kinds_of(kind: ast.expr) -> set[str]:
    if isinstance(kind, ast.JoinedStr):
        shape = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in kind.values)
        return COMPUTED[shape]
    assert isinstance(kind, ast.Constant), f"a kind is written out, not computed: {ast.unparse(kind)}"
    return {str(kind.value)}


# The one fact that is recorded in SQL, because the books themselves notice it: by a trigger, in whatever transaction.
IN_SQL = {"wallet.fell": "ledger/sql/functions.sql"}


def test_every_recorded_kind_is_listed_and_every_listed_kind_is_recorded() -> None:
    recorded = set(recorded_in_python())
    assert {"invoice.issued", "payment.succeeded"} <= recorded
    assert recorded | set(IN_SQL) == set(REACTIONS)


def test_sql_of_ours_records_one_fact_only() -> None:
    recording = {str(path.relative_to(ROOMS)): path.read_text() for path in ROOMS.glob("**/*.sql")}
    assert {name for name, text in recording.items() if "INTO events_event" in text} == set(IN_SQL.values())
    for kind, name in IN_SQL.items():
        assert recording[name].count("INTO events_event") == 1
        assert f"'{kind}'" in recording[name]
