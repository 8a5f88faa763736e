"""The month of a wallet: one function gives the data that page, PDF, CSV and JSON show."""

from dataclasses import dataclass
from datetime import date, datetime

from postmeter.customers import queries as customers
from postmeter.db import scope
from postmeter.db.scope import scoped
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.ledger import queries as ledger
from postmeter.ledger.queries import DaySum
from postmeter.statements import months
from postmeter.statements.models import Statement
from postmeter.wallets import queries as wallets
from postmeter.wallets.models import Wallet

# What moved the balance, in words: for one movement and for several.
WORDS = {
    "sms": ("Text message", "text messages"),
    "mms": ("Picture message", "picture messages"),
    "voice": ("Call", "calls"),
    "overrun": ("Call that ran past its hold", "calls that ran past their hold"),
    "fax": ("Fax", "faxes"),
    "sms_in": ("Received text", "received texts"),
    "fax_in": ("Received fax", "received faxes"),
    "refund": ("Given back: not delivered", "messages given back: not delivered"),
    "top_up": ("Top-up", "top-ups"),
    "top_up_refund": ("Top-up given back to you", "top-ups given back to you"),
    "dispute": ("Disputed at the bank", "disputes at the bank"),
    "bill": ("Billed: back to zero", "bills that set the balance to zero"),
    "bill_payment": ("Bill paid from credit", "bills paid from credit"),
    "promotion": ("Promotional credit", "amounts of promotional credit"),
    "promotion_expired": ("Promotional credit expired", "amounts of promotional credit that expired"),
    "transfer": ("Transfer between accounts", "transfers between accounts"),
    "adjustment": ("Adjustment by hand", "adjustments"),
    "play_money": ("Play money", "amounts of play money"),
}
OUTGOING, INCOMING = ("sms", "mms", "voice", "overrun", "fax", "refund"), ("sms_in", "fax_in")
MESSAGES = (*OUTGOING, *INCOMING)  # so many that they are summed by day
SINGLY = tuple(code for code in WORDS if code not in MESSAGES)


@dataclass(frozen=True, slots=True)
class Group:
    """Everything of one kind that moved the balance in the month."""

    code: str
    words: str
    count: int
    amount_micros: int


@dataclass(frozen=True, slots=True)
class Month:
    """opening + groups = opening + days = closing, over [since, until); all recomputed from the ledger's rows."""

    wallet: Wallet
    month: date
    time_zone: str
    since: datetime
    until: datetime
    opening_micros: int
    closing_micros: int
    groups: tuple[Group, ...]
    days: tuple[DaySum, ...]
    closed: Statement | None

    @property
    def movements(self) -> int:
        return sum(group.count for group in self.groups)

    @property
    def balances(self) -> bool:
        """Whether it adds up: with itself, and with what was written down at close."""
        sums = {sum(group.amount_micros for group in self.groups), sum(day.amount_micros for day in self.days)}
        kept = (self.closed.opening_micros, self.closed.closing_micros, self.closed.movements) if self.closed else None
        now = (self.opening_micros, self.closing_micros, self.movements)
        return sums == {self.closing_micros - self.opening_micros} and kept in (None, now)


def words_of(code: str, count: int) -> str:
    one, many = WORDS.get(code, (code.replace("_", " ").capitalize(),) * 2)
    return one if count == 1 else f"{count:,} {many}"


def month(*, customer_id: int, wallet_id: int, month: date, now: datetime) -> Month:
    """A month of a wallet, closed or not, read at one moment. Raises NotFound, and BadInput for a month to come."""
    with scope.snapshot(customer_id):
        wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
        closed = statement(customer_id=customer_id, wallet_id=wallet_id, month=month)
        time_zone, since, until = span(customer_id=customer_id, wallet_id=wallet_id, month=month)
        if since > now:
            raise BadInput("This month has not begun.", field="month", remedy="Choose an earlier one.")
        found = wallets.daily_statement(
            customer_id=customer_id, wallet=wallet, since=since, until=until, time_zone=time_zone, singly=SINGLY
        )
        closing = ledger.balance_at(customer_id=customer_id, account_id=wallet.account_id, at=until)
    codes = sorted({day.code for day in found.sums})
    groups = tuple(_group(code, [day for day in found.sums if day.code == code]) for code in codes)
    return Month(wallet, month, time_zone, since, until, found.opening_micros, closing, groups, found.sums, closed)


def _group(code: str, days: list[DaySum]) -> Group:
    count = sum(day.count for day in days)
    return Group(code, words_of(code, count), count, sum(day.amount_micros for day in days))


@scoped
def span(*, customer_id: int, wallet_id: int, month: date) -> tuple[str, datetime, datetime]:
    """The zone of a month and its moments. It goes on where the month before was closed, even if the customer has moved."""
    closed = statement(customer_id=customer_id, wallet_id=wallet_id, month=month)
    if closed:
        return closed.time_zone, closed.since, closed.until
    time_zone = customers.customer(customer_id=customer_id).time_zone
    earlier = statement(customer_id=customer_id, wallet_id=wallet_id, month=months.before(month))
    since = earlier.until if earlier else months.begins(month, time_zone)
    return time_zone, since, months.begins(months.after(month), time_zone)


@scoped
def statement(*, customer_id: int, wallet_id: int, month: date) -> Statement | None:
    """The month as it was closed; None while it is open."""
    return Statement.objects.filter(customer_id=customer_id, wallet_id=wallet_id, month=month).first()


@scoped
def statement_of(*, customer_id: int, statement_id: int) -> Statement:
    found = Statement.objects.filter(customer_id=customer_id, id=statement_id).first()
    if found is None:
        raise NotFound("There is no such statement.")
    return found


@scoped
def statements(*, customer_id: int, wallet_id: int, at_most: int = 24) -> list[Statement]:
    """Closed months, the newest first."""
    return list(Statement.objects.filter(customer_id=customer_id, wallet_id=wallet_id).order_by("-month")[:at_most])


@scoped
def used_before(*, customer_id: int, unit: str, at: datetime) -> int:
    """What was charged, less what was given back, for messages from live wallets of this unit before that moment."""
    live = {wallet.id for wallet in wallets.wallets(customer_id=customer_id) if wallet.kind != "sandbox"}
    return sum(
        ledger.balance_at(customer_id=customer_id, account_id=account.id, at=at)
        for account in ledger.accounts(customer_id=customer_id)
        if account.kind == "usage" and account.unit == unit and account.ref_id in live
    )
