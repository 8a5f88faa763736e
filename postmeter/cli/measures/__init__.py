"""What `postmeter bench` measures: each figure beside a floor of the same run, because machines are noisy and ratios are not."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` and `floor` in `unit`; `ratio` is value ÷ floor; `rows` is how much was done in each round."""

    name: str
    value: float
    unit: str
    floor: float
    ratio: float
    rows: int

    def as_row(self) -> dict[str, object]:
        return asdict(self)


def figure(name: str, value: float, unit: str, floor: float, rows: int) -> Figure:
    return Figure(name, round(value, 1), unit, round(floor, 1), round(value / floor, 3) if floor else 0.0, rows)


def rate(work: Callable[[], None], rows: int) -> float:
    """Rows a second of one round."""
    started = time.perf_counter()
    work()
    return rows / (time.perf_counter() - started)


def side_by_side(work: Callable[[], None], floor: Callable[[], None], *, rows: int, rounds: int) -> tuple[float, float]:
    """Medians of both, in turn A B A B, after one round of each that does not count."""
    work()
    floor()
    rates, floors = [], []
    for _ in range(rounds):
        rates.append(rate(work, rows))
        floors.append(rate(floor, rows))
    return statistics.median(rates), statistics.median(floors)
