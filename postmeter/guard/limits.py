"""How much is usual, and what counts towards what. Pure: names, windows, words.

Windows are fixed: a bucket begins on the ten minutes, on the hour, or with the customer's day, and the count begins anew with it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from postmeter.kit.money import CREDITS, MICROS, format_amount, minor_digits, parse_amount
from postmeter.kit.refusals import BadInput

TEN_MINUTES, HOUR, DAY = timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)
LAST_DIGITS = 4  # numbers that differ in these only are of one prefix: what pumping writes to (promises.md 4)
CUSTOMER, MEMBER, KEY, PREFIX, NUMBER, CODE = "customer", "member", "key", "prefix", "number", "code"
STOPPED = "stopped"
# As the counters' rows say it. The customer's own comes first: its row is locked before any other of the customer's.
KINDS = {CUSTOMER: 1, MEMBER: 2, KEY: 3, PREFIX: 4, NUMBER: 5, CODE: 6}


@dataclass(frozen=True, slots=True)
class Limit:
    """So many in a window. `usual` holds unless the operator sets another: messages, or whole dollars' worth of money.

    `counts`: whose counter it looks at. `trips`: who passes it is stopped until a person lifts it; otherwise just refused.
    """

    name: str
    counts: str
    words: str
    usual: int
    window: timedelta
    in_money: bool = False
    trips: bool = True


# None of these should ever be met by a practice that reminds its patients:
# - number: a receptionist who writes back and forth with one patient, or four children on their mother's telephone, stay below ten
#   in ten minutes. Codes are what attackers let others send, so for them it is the three that verification services allow.
# - prefix: five hundred are a twentieth of all the numbers that a prefix has.
# - member, key, customer: a list of ten thousand, twice that for the program that reminds a chain of clinics, and all of it together.
LIMITS = {
    limit.name: limit
    for limit in (
        Limit(NUMBER, NUMBER, "to the same number within ten minutes", 10, TEN_MINUTES, trips=False),
        Limit(CODE, CODE, "one-time codes to the same number within ten minutes", 3, TEN_MINUTES, trips=False),
        Limit(PREFIX, PREFIX, "within an hour to numbers that differ in their last four digits only", 500, HOUR),
        Limit(MEMBER, MEMBER, "a day by one member", 10_000, DAY),
        Limit("member_spend", MEMBER, "a day by one member", 500, DAY, in_money=True),
        Limit(KEY, KEY, "a day by one API key", 20_000, DAY),
        Limit("key_spend", KEY, "a day by one API key", 500, DAY, in_money=True),
        Limit(CUSTOMER, CUSTOMER, "a day by everybody together", 30_000, DAY),
        Limit("customer_spend", CUSTOMER, "a day by everybody together", 1_000, DAY, in_money=True),
    )
}
HIGHEST = {name: 10**15 if limit.in_money else 10**9 for name, limit in LIMITS.items()}  # that can be set
_CREDITS_TO_THE_DOLLAR = 10


def usual(limit: Limit, unit: str) -> int:
    """What holds unless it was set: messages, or micro-units of the wallet's unit."""
    if not limit.in_money:
        return limit.usual
    worth = _CREDITS_TO_THE_DOLLAR if unit in CREDITS else 10 ** max(0, 2 - minor_digits(unit))
    return limit.usual * worth * MICROS


def bucket(limit: Limit, now: datetime, zone: str) -> datetime:
    """When the window that `now` falls into began."""
    if limit.window == DAY:
        return now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    into_the_hour = timedelta(minutes=now.minute, seconds=now.second, microseconds=now.microsecond)
    return now - (into_the_hour % limit.window)


def ends(limit: Limit, begun: datetime) -> datetime:
    """When the count begins anew."""
    return begun + limit.window  # of an aware local time: the same hour of the next day, whatever clocks do


def read(limit: Limit | None, text: str, unit: str, *, field: str) -> int:
    """What a person wrote as a limit: messages, or an amount of the unit. Raises BadInput with this field."""
    if limit is None:
        raise BadInput("There is no such limit.", field=field, remedy=f"Use one of: {', '.join(LIMITS)}.")
    if limit.in_money:
        return parse_amount(text, unit, field=field)
    number = text.replace(",", "").strip()
    if not (number.isascii() and number.isdigit() and len(number) <= len(str(HIGHEST[limit.name]))):
        raise BadInput("This is no number of messages.", field=field, remedy="Write a whole number above zero.")
    return int(number)


def said(limit: Limit, most: int, unit: str) -> str:
    """The limit in words: "500 messages within an hour to …", "$500.00 a day by one API key"."""
    if limit.in_money:
        return f"{format_amount(most, unit)} {limit.words}"
    if limit.name == CODE:
        return f"{most:,} {limit.words}"
    return f"{most:,} message{'' if most == 1 else 's'} {limit.words}"
