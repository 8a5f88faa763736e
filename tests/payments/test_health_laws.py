"""Methods under anything that banks and people may do: against a model in plain words."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pytest_django import Settings

from postmeter.payments import operations, queries
from postmeter.payments.health import COOL_DOWN
from postmeter.payments.models import Payment
from postmeter.payments.states import PaymentState
from tests.cast import Cast
from tests.laws.profile import law
from tests.payments.cards import a_card, facts, intent, look, told

S = PaymentState
COOLS, STOPS = ["insufficient_funds", "declined", "authentication_failed"], ["card_invalid", "card_lost_or_stolen"]
LEAVES = ["bank_unavailable", "gateway_refused", "authentication_required"]
which = st.integers(0, 2)


@dataclass
class Known:
    """What the model remembers of one method."""

    id: int
    on: bool = True
    removed: bool = False
    cooling_until: datetime | None = None
    stopped: bool = False

    def chargeable(self, now: datetime) -> bool:
        cooling = self.cooling_until is not None and now < self.cooling_until
        return self.on and not (self.removed or self.stopped or cooling)


class Methods(RuleBasedStateMachine):
    """Three methods; payments on them end in any way, in any order, repeatedly; people switch, move and remove."""

    @initialize()
    def open(self) -> None:
        self.now = datetime(2031, 1, 1, tzinfo=UTC)
        self.clinic = Cast().clinic(credit_micros=0)
        self.rows = [a_card(self.clinic) for _ in range(3)]
        self.known = [Known(row.id) for row in self.rows]
        self.order = [row.id for row in self.rows]
        self.ended: list[tuple[Payment, S]] = []
        self.healed = 0

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(n=which, code=st.sampled_from([*COOLS, *STOPS, *LEAVES]))
    def declined(self, n: int, code: str) -> None:
        payment, known = intent(self.clinic, self.rows[n], now=self.now), self.known[n]
        assert told(payment, S.DECLINED, code, now=self.now)
        self.ended.append((payment, S.DECLINED))
        if known.removed:
            return
        if code in STOPS:
            known.stopped, known.cooling_until = True, None
        elif code in COOLS and not known.stopped:
            known.cooling_until = self.now + COOL_DOWN

    @rule(n=which)
    def paid(self, n: int) -> None:
        payment = intent(self.clinic, self.rows[n], now=self.now)
        assert told(payment, S.SUCCEEDED, now=self.now)
        self.ended.append((payment, S.SUCCEEDED))
        self._forgive(n)

    @rule(n=which, state=st.sampled_from([S.UNKNOWN, S.PROCESSING, S.REQUIRES_ACTION, S.CANCELLED]))
    def undecided(self, n: int, state: S) -> None:
        told(intent(self.clinic, self.rows[n], now=self.now), state, now=self.now)

    @rule(data=st.data())
    def said_again(self, data: st.DataObject) -> None:
        if self.ended:
            payment, state = data.draw(st.sampled_from(self.ended))
            assert not told(payment, state, "declined" if state is S.DECLINED else "", now=self.now)

    @rule(n=which, on=st.booleans())
    def switched(self, n: int, on: bool) -> None:
        if not self.known[n].removed:
            operations.set_auto_charge(
                customer_id=self.clinic.id, method_id=self.rows[n].id, on=on, now=self.now, actor="member:1"
            )
            self.known[n].on = on

    @rule(data=st.data())
    def moved(self, data: st.DataObject) -> None:
        if self.order:
            one, place = data.draw(st.sampled_from(self.order)), data.draw(st.integers(1, len(self.order)))
            operations.move(customer_id=self.clinic.id, method_id=one, position=place, now=self.now, actor="member:1")
            self.order.remove(one)
            self.order.insert(place - 1, one)

    @rule(data=st.data())
    def rearranged(self, data: st.DataObject) -> None:
        if self.order:
            self.order = data.draw(st.permutations(self.order))
            operations.reorder(customer_id=self.clinic.id, method_ids=self.order, now=self.now, actor="member:1")

    @rule(n=which)
    def removed(self, n: int) -> None:
        if not self.known[n].removed and len(self.order) > 1:
            operations.remove_method(customer_id=self.clinic.id, method_id=self.rows[n].id, now=self.now, actor="member:1")
            self.known[n].removed = True
            self.order.remove(self.rows[n].id)

    def _forgive(self, n: int) -> None:
        known = self.known[n]
        if not known.removed:
            self.healed += known.stopped or known.cooling_until is not None
            known.stopped, known.cooling_until = False, None

    @invariant()
    def only_people_change_the_order(self) -> None:
        #
        assert [row.id for row in queries.methods(customer_id=self.clinic.id)] == self.order

    @invariant()
    def exactly_the_well_ones_are_charged_in_that_order(self) -> None:
        well = {known.id for known in self.known if known.chargeable(self.now)}
        charged = [row.id for row in queries.chargeable(customer_id=self.clinic.id, now=self.now)]
        assert charged == [each for each in self.order if each in well]
        first = queries.primary(queries.methods(customer_id=self.clinic.id), now=self.now)
        assert (first.id if first else None) == (charged[0] if charged else None)

    @invariant()
    def the_rows_say_what_happened(self) -> None:
        for row, known in zip(self.rows, self.known, strict=True):
            found = look(row)
            assert (found.needs_person, found.cooling_until) == (known.stopped, known.cooling_until)
        assert len(facts(self.clinic, "payment_method.restored")) == self.healed


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """Nobody signs in here: a password need not be dear."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


TestMethods = Methods.TestCase
TestMethods.settings = law(worlds=25, steps=30)
