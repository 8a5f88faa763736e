"""Where the bars of the meter, the chart and the progress stand: geometry only, no Django, no colours.

Widths are percentages of the drawing as text ("12.5"), ready to be SVG attributes; amounts are micro-units (1e-6 of the unit).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

_LEAST_VISIBLE = 0.6  # percent: what is there at all can be seen


class Figures(Protocol):
    """The figures of a wallet in micro-units (`topups.queries.Figures` is one)."""

    posted_micros: int
    held_micros: int
    available_micros: int
    incoming_micros: int
    limit_micros: int
    debt_micros: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """A line on the meter: what happens when available falls below it."""

    at_micros: int
    label: str


@dataclass(frozen=True, slots=True)
class Segment:
    kind: str
    x: str
    width: str


@dataclass(frozen=True, slots=True)
class Tick:
    x: str
    label: str
    at_micros: int
    is_limit: bool = False


@dataclass(frozen=True, slots=True)
class Meter:
    segments: tuple[Segment, ...]
    ticks: tuple[Tick, ...]


def full_micros(figures: Figures, thresholds: Iterable[Threshold] = ()) -> int:
    """The amount at the right end of the bar: everything the wallet will have, or its highest line."""
    all_of_it = max(figures.available_micros, 0) + figures.held_micros + figures.incoming_micros
    return max(all_of_it, figures.limit_micros, *(line.at_micros for line in thresholds), 1)


def meter(figures: Figures, thresholds: Sequence[Threshold] = (), *, full: int | None = None) -> Meter:
    """The bar from what is owed (left) over the overdraft, available and held to incoming (right), on one scale.

    `full` puts two bars on the same scale: give the larger `full_micros` of both.
    """
    owed = figures.debt_micros
    scale = (full or full_micros(figures, thresholds)) + owed

    def percent(micros: int) -> str:
        return _text(100 * micros / scale)

    available = max(figures.available_micros, 0)
    overdraft = min(figures.limit_micros, available)
    segments = []
    start = 0
    for kind, micros in (
        ("owed", owed),
        ("overdraft", overdraft),
        ("available", available - overdraft),
        ("held", figures.held_micros),
        ("incoming", figures.incoming_micros),
    ):
        if micros > 0:
            segments.append(Segment(kind, percent(start), _text(max(100 * micros / scale, _LEAST_VISIBLE))))
        start += micros
    in_order = sorted(thresholds, key=lambda line: line.at_micros)
    ticks = [Tick(percent(owed + line.at_micros), line.label, line.at_micros) for line in in_order]
    if figures.limit_micros:
        ticks.insert(0, Tick(percent(owed + figures.limit_micros), "Overdraft", figures.limit_micros, is_limit=True))
    return Meter(tuple(segments), tuple(ticks))


@dataclass(frozen=True, slots=True)
class Progress:
    total: int
    left: int
    percent: int
    done_width: str
    failed_width: str


def progress(*, total: int, done: int, failed: int) -> Progress:
    """How far a long job is. It reads 100 only when nothing is left."""
    whole = max(total, 1)
    finished = done + failed
    percent = 100 if finished >= total else min(99, 100 * finished // whole)
    return Progress(total, max(total - finished, 0), percent, _text(100 * done / whole), _text(100 * failed / whole))


@dataclass(frozen=True, slots=True)
class Bar:
    day: date
    micros: int
    x: str
    y: str
    width: str
    height: str
    middle: str
    labelled: bool
    outer: str  # the edge nearer to the end of the chart, from where a text grows inwards
    anchor: str


@dataclass(frozen=True, slots=True)
class GridLine:
    micros: int
    y: str


@dataclass(frozen=True, slots=True)
class Chart:
    bars: tuple[Bar, ...]
    lines: tuple[GridLine, ...]
    total_micros: int
    width: int
    height: int
    left: int
    right: int
    bottom: int
    peak: Bar | None


# The axis stands at the right, beside the newest day: a narrow screen opens there. At the left half of a first label.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 220, 36, 624, 24, 188
_MOST_LABELS = 8


def day_chart(days: Sequence[tuple[date, int]]) -> Chart:
    """One bar a day; `days` are (day, micros) in order, without gaps."""
    highest = _round_up(max((micros for _, micros in days), default=0))
    slot = (_RIGHT - _LEFT) / max(len(days), 1)
    every = -(-len(days) // _MOST_LABELS) or 1

    def y(micros: int) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * micros / highest

    bars = tuple(
        Bar(
            day,
            micros,
            x=_text(_LEFT + slot * (place + 0.15)),
            y=_text(y(micros)),
            width=_text(slot * 0.7),
            height=_text(_BOTTOM - y(micros)),
            middle=_text(_LEFT + slot * (place + 0.5)),
            labelled=(len(days) - 1 - place) % every == 0,
            outer=_text(_LEFT + slot * (place + (0.85 if late else 0.15))),
            anchor="end" if late else "start",
        )
        for place, (day, micros) in enumerate(days)
        for late in (2 * place >= len(days),)
    )
    lines = tuple(GridLine(micros, _text(y(micros))) for micros in (0, highest // 2, highest))
    peak = max(bars, key=lambda bar: bar.micros, default=None)
    return Chart(
        bars,
        lines,
        sum(micros for _, micros in days),
        _WIDTH,
        _HEIGHT,
        _LEFT,
        _RIGHT,
        _BOTTOM,
        peak if peak and peak.micros else None,
    )


@dataclass(frozen=True, slots=True)
class Label:
    x: str
    day: date


@dataclass(frozen=True, slots=True)
class RunwayChart:
    """`line` and `range` are the points of a polyline and of a polygon; `end_x` is where the line meets the ground, if it does."""

    line: str
    range: str
    labels: tuple[Label, ...]
    lines: tuple[GridLine, ...]
    end_x: str
    width: int
    height: int
    left: int
    right: int
    bottom: int


def runway_chart(days: Sequence[tuple[date, int, int, int]], ends_on: date | None) -> RunwayChart:
    """What is left at the end of each day; `days` are (day, likely, low, high) in order, micro-units. Below zero is drawn as zero."""
    highest = _round_up(max((high for _, _, _, high in days), default=0))
    slot = (_RIGHT - _LEFT) / max(len(days) - 1, 1)
    every = -(-len(days) // _MOST_LABELS) or 1

    def point(place: int, micros: int) -> str:
        y = _BOTTOM - (_BOTTOM - _TOP) * max(micros, 0) / highest
        return f"{_text(_LEFT + slot * place)},{_text(y)}"

    above = [point(place, high) for place, (_, _, _, high) in enumerate(days)]
    below = [point(place, low) for place, (_, _, low, _) in enumerate(days)]
    end = next((place for place, (day, *_) in enumerate(days) if day == ends_on), None)
    return RunwayChart(
        line=" ".join(point(place, likely) for place, (_, likely, _, _) in enumerate(days)),
        range=" ".join([*above, *reversed(below)]),
        labels=tuple(Label(_text(_LEFT + slot * place), day) for place, (day, *_) in enumerate(days) if place % every == 0),
        lines=tuple(
            GridLine(micros, _text(_BOTTOM - (_BOTTOM - _TOP) * micros / highest)) for micros in (0, highest // 2, highest)
        ),
        end_x="" if end is None else _text(_LEFT + slot * end),
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_RIGHT,
        bottom=_BOTTOM,
    )


def _round_up(micros: int) -> int:
    """The next 1, 2, 4, 6, 8 or 10 of its magnitude, so that the axis and its half read as round amounts."""
    if micros <= 0:
        return 1_000_000
    magnitude = int("1".ljust(len(str(micros)), "0"))
    return next(step * magnitude for step in (1, 2, 4, 6, 8, 10) if step * magnitude >= micros)


def _text(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
