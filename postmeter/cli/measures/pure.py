"""Segments and prices: what runs in memory, beside what Python needs to look at the same texts at all."""

import random

from postmeter.cli.measures import Figure, figure, side_by_side
from postmeter.messaging.channels import sms
from postmeter.rating.price import Rate, RateTable, price

ROWS = 100_000


def _texts(count: int) -> list[str]:
    """Bodies as they come: mostly plain, some with extension characters, Cyrillic, emoji, some long; every one different."""
    made = random.Random(7)  # noqa: S311 - the same texts in every run
    kinds = [
        "Hello Ana, see you on {} at the clinic.",
        "Total [{}] € due",
        "Здравствуйте, ждём вас {}",
        "See you {} 🙂",
        "Notes {} " * 9,
    ]
    return [made.choices(kinds, weights=[82, 8, 5, 3, 2])[0].replace("{}", str(n)) for n in range(count)]


def segments() -> Figure:
    """Texts a second measured exactly; the floor encodes them, which any count has to do."""
    texts = _texts(ROWS)

    def work() -> None:
        for text in texts:
            sms.count(text)

    def floor() -> None:
        for text in texts:
            text.encode("utf-16-le")

    value, base = side_by_side(work, floor, rows=ROWS, rounds=5)
    return figure("segments", value, "texts/s", base, ROWS)


def rating() -> Figure:
    """Numbers a second priced against 6,000 prefixes; the floor looks each number up in one dictionary."""
    made = random.Random(7)  # noqa: S311
    prefixes = {str(made.randrange(1, 10 ** made.randint(1, 8))) for _ in range(6_000)} | {str(n) for n in range(1, 10)}
    table = RateTable(Rate(prefix, "US", 7_900, 3_500) for prefix in sorted(prefixes) if not prefix.startswith("0"))
    numbers = [f"+{made.randrange(10**10, 10**11)}" for _ in range(ROWS)]
    known = dict.fromkeys(numbers, 1)

    def work() -> None:
        for number in numbers:
            rate = table.find(number)
            if rate is not None:
                price(1, rate)

    def floor() -> None:
        for number in numbers:
            known.get(number)

    value, base = side_by_side(work, floor, rows=ROWS, rounds=5)
    return figure("rating", value, "numbers/s", base, ROWS)
