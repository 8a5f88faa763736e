"""The fault switch: rules that make the simulator fail on purpose, the same way every time for the same seed.

Each kind is a fault of the project's promises (F15-F51). What fired is counted and stands in the log, so that a test can
prove that its fault really happened.
"""

import fnmatch
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from postmeter.kit.refusals import BadInput, NotFound
from postmeter.simulator.clock import Clock
from postmeter.simulator.log import Log, as_text


class Fault(StrEnum):
    # on a request
    TIMEOUT_BEFORE = "timeout_before"  # F15: never answers, nothing happened
    TIMEOUT_AFTER_SUCCESS = "timeout_after_success"  # F16, F41: it happened, but nobody hears of it
    ERROR_500_BEFORE = "error_500_before"  # F17, F51
    ERROR_500_AFTER = "error_500_after"  # F18; the idempotency key keeps the 500 (F29)
    RESET_AFTER_HEADERS = "reset_after_headers"  # F19: it happened, the answer is cut
    GARBAGE = "garbage"  # F20: it happened, the answer is no JSON
    TWICE = "twice"  # F42: the request is taken twice, as if something on the way had repeated it
    THROTTLE_429 = "throttle_429"  # F21, F50
    CONFLICT_409 = "conflict_409"  # F22
    SLOW = "slow"  # answers after `seconds` on the simulator's clock
    DIFFERENT_AMOUNT = "different_amount"  # F27: the gateway takes one minor unit less than it was asked
    HIDDEN = "hidden"  # F30: lists and searches show the thing only after `seconds`
    EVENT_FIRST = "event_first"  # F33: the callbacks arrive before the answer
    # on a callback
    DUPLICATE = "duplicate"  # F31, F44
    REORDER = "reorder"  # F32, F45: after the ones that follow
    LOSE = "lose"  # F35, F46
    DELAY = "delay"  # F34, F47: by `seconds`
    BAD_SIGNATURE = "bad_signature"  # F36: forged first; the true one follows if the forgery is refused
    OLD_TIMESTAMP = "old_timestamp"  # F36: signed, but an hour ago


ON_CALLBACKS = frozenset({Fault.DUPLICATE, Fault.REORDER, Fault.LOSE, Fault.DELAY, Fault.BAD_SIGNATURE, Fault.OLD_TIMESTAMP})
SERVICES = frozenset({"twilio", "sinch", "smpp", "stripe", "paypal"})
USUAL_SECONDS = {Fault.SLOW: 5.0, Fault.HIDDEN: 60.0, Fault.REORDER: 5.0, Fault.DELAY: 3 * 86400.0}


@dataclass(frozen=True, slots=True)
class Fired:
    """A fault that strikes now."""

    fault: Fault
    seconds: float

    @classmethod
    def by_magic(cls, fault: Fault) -> "Fired":
        return cls(fault, USUAL_SECONDS.get(fault, 0.0))


@dataclass(frozen=True, slots=True)
class Rule:
    """`match` maps facts (number, body, card, path, method, event) to patterns such as `*0042`; all must fit.

    It fires on the first `count` matches (None: on all), each with `probability`, drawn from `seed`.
    """

    service: str
    fault: Fault
    match: dict[str, str]
    count: int | None = None
    probability: float = 1.0
    seed: int = 0
    seconds: float = 0.0

    def fits(self, facts: dict[str, str]) -> bool:
        return all(fnmatch.fnmatchcase(facts.get(name, ""), pattern) for name, pattern in self.match.items())

    def strikes(self, *, seen: int, fired: int) -> bool:
        if self.count is not None and fired >= self.count:
            return False
        return random.Random(f"{self.seed}:{seen}").random() < self.probability  # noqa: S311 - chance, not secrecy


def rule_from(spec: dict[str, Any]) -> Rule:
    unknown = set(spec) - set(Rule.__slots__)
    if unknown:
        raise BadInput(f"A rule has no {sorted(unknown)[0]!r}.", remedy=f"It has {', '.join(Rule.__slots__)}.")
    if spec.get("service") not in SERVICES:
        raise BadInput("A rule needs a service.", field="service", remedy="Say twilio, sinch, smpp, stripe or paypal.")
    try:
        fault = Fault(spec.get("fault", ""))
    except ValueError:
        raise BadInput("There is no such fault.", field="fault", remedy=f"Choose of {', '.join(Fault)}.") from None
    return Rule(
        service=spec["service"],
        fault=fault,
        match=dict(spec.get("match") or {}),
        count=spec.get("count"),
        probability=float(spec.get("probability", 1.0)),
        seed=int(spec.get("seed", 0)),
        seconds=float(spec.get("seconds", USUAL_SECONDS.get(fault, 0.0))),
    )


class Switch:
    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._rules = {row["id"]: rule_from(msgspec.json.decode(row["spec"])) for row in log.rows("SELECT id, spec FROM rules")}

    def add(self, spec: dict[str, Any]) -> int:
        rule = rule_from(spec)
        number = self._log.insert("INSERT INTO rules (spec) VALUES (?)", (as_text(spec),))
        self._rules[number] = rule
        return number

    def remove(self, number: int | None = None) -> None:
        """One rule, or all of them."""
        if number is not None and number not in self._rules:
            raise NotFound("There is no such rule.")
        self._log.execute("DELETE FROM rules WHERE ? IS NULL OR id = ?", (number, number))
        self._rules = {key: rule for key, rule in self._rules.items() if number is not None and key != number}

    def listing(self) -> list[dict[str, Any]]:
        rows = self._log.rows("SELECT * FROM rules ORDER BY id")
        return [{"id": row["id"], **msgspec.json.decode(row["spec"]), "seen": row["seen"], "fired": row["fired"]} for row in rows]

    def draw(self, service: str, *, callback: bool, subject: str, **facts: str) -> Fired | None:
        """The first rule that fits and strikes, counted and logged, or None."""
        for number, rule in self._rules.items():
            if (
                rule.service == service
                and (rule.fault in ON_CALLBACKS) == callback
                and rule.fits(facts)
                and self._count(number, rule)
            ):
                fired = Fired(rule.fault, rule.seconds)
                self.note(fired, service=service, subject=subject, rule=number)
                return fired
        return None

    def note(self, fired: Fired, *, service: str, subject: str, rule: int | None = None) -> None:
        """Every fault that fires stands in the log, whether a rule or a magic number or card asked for it."""
        self._log.append(
            at=self._clock.now(),
            kind="fault.fired",
            subject=subject,
            service=service,
            fault=fired.fault,
            rule=rule,
            seconds=fired.seconds,
        )

    def _count(self, number: int, rule: Rule) -> bool:
        row = self._log.one("SELECT seen, fired FROM rules WHERE id = ?", (number,))
        strikes = rule.strikes(seen=row["seen"], fired=row["fired"])
        self._log.execute("UPDATE rules SET seen = seen + 1, fired = fired + ? WHERE id = ?", (int(strikes), number))
        return strikes
