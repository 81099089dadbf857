"""Charts of values against the compression ratio: uncompressed at the edge, then a log scale behind a break."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from mammo_jax.ratios import ratio_name, ratio_text
from mammo_jax.report.drawing import Area, Drawing, Item, Label, Line, Marker, Position, Shape

WIDTH, HEIGHT = 560.0, 420.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 548.0, 40.0, 362.0
UNCOMPRESSED = LEFT + 14
FIRST_RATIO = LEFT + 74
LAST_RATIO = RIGHT - 16
MIN_GAP = 33.0
"""Ratios next to each other are at least this many pixels apart, so that 15, 20 and 25 can be told from each other."""
LABEL_GAP = 30.0
SMALL, MEDIUM = 14.0, 15.0
PUBLISHED = "published"
"""The layer of what others found, whose ratios have no places of their own on the axis."""
Height = Callable[[float], float]


@dataclass(frozen=True)
class Point:
    """A value at a ratio; low and high are None where there is no interval."""

    ratio: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curve:
    """Points of one thing, in ascending ratios.

    Attributes
    ----------
    label : str
        For the legend, the tips and the table of values.
    points : tuple of Point
    colour, shape, dash
        See `mammo_jax.report.drawing`.
    layer : str
        Curves of a layer can be hidden.
    joined : bool
        Whether a line joins the points.
    """

    label: str
    points: tuple[Point, ...]
    colour: str
    shape: Shape = "circle"
    dash: tuple[float, float] | None = None
    layer: str = ""
    joined: bool = True


@dataclass(frozen=True)
class Verdict:
    """What is marked: the ratio that passed and the first that did not; None where there is none."""

    passed: float | None = None
    broken: float | None = None


@dataclass(frozen=True)
class Span:
    """Values between two levels over all ratios, such as what others found."""

    label: str
    low: float
    high: float
    layer: str


@dataclass(frozen=True)
class Reference:
    """A ratio that others named, drawn at the foot of the chart."""

    ratio: float
    text: str
    tip: str


@dataclass(frozen=True)
class RatioScale:
    """Positions of ratios; those between two of `ratios` lie between them, as their logarithms do."""

    ratios: tuple[float, ...]
    positions: tuple[float, ...]

    @staticmethod
    def of(ratios: Sequence[float]) -> RatioScale:
        """Place these ratios, of which 1 is the uncompressed edge."""
        compressed = sorted({ratio for ratio in ratios if ratio > 1})
        if not compressed:
            return RatioScale((), ())
        steps = [math.log(after / before) for before, after in pairwise(compressed)]
        gap = min(MIN_GAP, (LAST_RATIO - FIRST_RATIO) / max(1, len(steps)))
        widths = _at_least(steps, gap, LAST_RATIO - FIRST_RATIO)
        positions = [FIRST_RATIO if steps else (FIRST_RATIO + LAST_RATIO) / 2]
        for width in widths:
            positions.append(positions[-1] + width)
        return RatioScale(tuple(compressed), tuple(positions))

    def __call__(self, ratio: float) -> float:
        """Return the position of a ratio from 1 up, in pixels."""
        if ratio <= 1 or not self.ratios:
            return UNCOMPRESSED
        if ratio <= self.ratios[0]:
            share = math.log(ratio) / math.log(self.ratios[0])
            return FIRST_RATIO - 30 * (1 - share) if len(self.ratios) > 1 else self.positions[0] - 30 * (1 - share)
        for (r0, r1), (p0, p1) in zip(pairwise(self.ratios), pairwise(self.positions)):
            if ratio <= r1:
                return p0 + (p1 - p0) * math.log(ratio / r0) / math.log(r1 / r0)
        return self.positions[-1]


def _at_least(steps: Sequence[float], gap: float, total: float) -> list[float]:
    """Divide a width as the steps are, but give none less than a gap."""
    narrow: set[int] = set()
    while True:
        free = total - gap * len(narrow)
        weight = sum(step for index, step in enumerate(steps) if index not in narrow)
        widths = [gap if i in narrow else free * step / weight for i, step in enumerate(steps)]
        more = {index for index, width in enumerate(widths) if width < gap - 1e-9} - narrow
        if not more:
            return widths
        narrow |= more


def ratio_chart(
    curves: Sequence[Curve],
    *,
    title: str,
    description: str,
    limits: tuple[float, float],
    digits: int = 3,
    verdict: Verdict = Verdict(),
    levels: Mapping[str, float] = MappingProxyType({}),
    spans: Sequence[Span] = (),
    references: Sequence[Reference] = (),
) -> Drawing:
    """Draw curves against the compression ratio, with their 95 % intervals.

    Parameters
    ----------
    curves : sequence of Curve
    title : str
        Of the y axis.
    description : str
        The chart in words.
    limits : (low, high)
        Of the y axis.
    digits : int
        Of values in tips.
    verdict : Verdict
        The part up to the ratio that passed is tinted, and the first that did not has a line.
    levels : mapping of text to value
        Lines across.
    spans, references : sequence
        What others found, in layers.
    """
    own = [curve for curve in curves if curve.layer != PUBLISHED]
    scale = RatioScale.of([point.ratio for curve in own for point in curve.points])
    low, high = limits

    def y(value: float) -> float:
        return BOTTOM - (min(max(value, low), high) - low) / (high - low) * (BOTTOM - TOP)

    items: list[Item] = [*_grid(y, limits, title), *_verdict_items(scale, verdict)]
    for span in spans:
        corners = ((LEFT, y(span.low)), (RIGHT, y(span.low)), (RIGHT, y(span.high)), (LEFT, y(span.high)))
        items.append(Area(corners, "published", 0.18, layer=span.layer, tip=span.label))
    for text, value in levels.items():
        items.append(Line(((LEFT, y(value)), (RIGHT, y(value))), "soft", 1.2, (5, 4)))
        items.append(Label((LEFT + 4, y(value) + 14), text, "soft", SMALL))
    items += _ratio_axis(scale, [ratio for ratio in (verdict.passed, verdict.broken) if ratio])
    items += _reference_items(scale, references)
    for position, curve in enumerate(curves):
        items += _curve_items(curve, scale, y, 3.0 * (position - (len(curves) - 1) / 2), digits)
    return Drawing(WIDTH, HEIGHT, tuple(items), description)


def _grid(y: Height, limits: tuple[float, float], title: str) -> list[Item]:
    items: list[Item] = []
    for tick in ticks(*limits):
        items.append(Line(((LEFT, y(tick)), (RIGHT, y(tick))), "grid"))
        items.append(Label((LEFT - 6, y(tick) + 4.5), f"{tick:.4g}", "ink", SMALL, "end"))
    items.append(Line(((LEFT, TOP), (LEFT, BOTTOM)), "ink", 1))
    items.append(Label((15, (TOP + BOTTOM) / 2), title, "ink", MEDIUM, "middle", turned=True))
    return items


def ticks(low: float, high: float) -> list[float]:
    """Return four to nine round values within limits."""
    rough = (high - low) / 8
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough - 1e-12)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _ratio_axis(scale: RatioScale, always: Sequence[float]) -> list[Item]:
    gap = (UNCOMPRESSED + FIRST_RATIO) / 2 - 8
    items: list[Item] = [
        Line(((LEFT, BOTTOM), (gap - 3, BOTTOM)), "ink"),
        Line(((gap + 3, BOTTOM), (RIGHT, BOTTOM)), "ink"),
        Line(((gap - 6, BOTTOM + 6), (gap, BOTTOM - 6)), "ink"),
        Line(((gap, BOTTOM + 6), (gap + 6, BOTTOM - 6)), "ink"),
        Label((UNCOMPRESSED, BOTTOM + 19), "1", "ink", SMALL, "middle"),
    ]
    written: list[float] = [scale(ratio) for ratio in always]
    for ratio, x in zip(scale.ratios, scale.positions):
        items.append(Line(((x, BOTTOM), (x, BOTTOM + 5)), "ink"))
        if ratio in always or all(abs(x - other) >= LABEL_GAP for other in written):
            items.append(Label((x, BOTTOM + 19), short(ratio), "ink", SMALL, "middle", bold=ratio in always))
            written.append(x)
    middle = (LEFT + RIGHT) / 2
    text = "compression ratio (1: uncompressed; then log, neighbours kept apart)"
    return [*items, Label((middle, BOTTOM + 42), text, "ink", SMALL, "middle")]


def short(ratio: float) -> str:
    """Abbreviate 11000 as 11k."""
    text = ratio_text(ratio)
    return f"{text[:-3]}k" if text.endswith("000") else text


def _verdict_items(scale: RatioScale, verdict: Verdict) -> list[Item]:
    items: list[Item] = []
    if verdict.passed:
        x = scale(verdict.passed)
        end = x + 8
        items.append(Area(((LEFT, TOP), (end, TOP), (end, BOTTOM), (LEFT, BOTTOM)), "passed", 0.11))
        near = scale(verdict.broken) if verdict.broken else RIGHT + 8
        at = (max(LEFT + 132, min(end, near - 8, RIGHT - 132 if verdict.broken else RIGHT)), TOP - 8)
        items.append(Label(at, f"passed: CR {ratio_text(verdict.passed)}", "passed", MEDIUM, "end", bold=True))
    if verdict.broken:
        x = scale(verdict.broken)
        items.append(Line(((x, TOP), (x, BOTTOM)), "broken", 1.6, (7, 4)))
        text = f"break: CR {ratio_text(verdict.broken)}"
        items.append(Label((min(x, RIGHT - 124), TOP - 8), text, "broken", MEDIUM, bold=True))
    return items


def _reference_items(scale: RatioScale, references: Sequence[Reference]) -> list[Item]:
    items: list[Item] = []
    for index, reference in enumerate(references):
        if not scale.ratios or reference.ratio > scale.ratios[-1]:
            continue
        x, layer = scale(reference.ratio), "recommendations"
        y = BOTTOM - 8 - 16 * (index % 4)
        items.append(Line(((x, BOTTOM - 70), (x, BOTTOM)), "gold", 1.2, (2, 3), layer=layer))
        items.append(Marker((x, y - 4), "gold", "diamond", 3, layer=layer, tip=reference.tip))
        items.append(Label((x + 6, y), reference.text, "gold", 13, layer=layer))
    return items


def _curve_items(curve: Curve, scale: RatioScale, y: Height, shift: float, digits: int) -> list[Item]:
    """Draw a curve a little beside the others, so that intervals do not overlap."""
    places: list[Position] = [(scale(point.ratio) + shift, y(point.value)) for point in curve.points]
    items: list[Item] = []
    if curve.joined and len(places) > 1:
        items.append(Line(tuple(places), curve.colour, 2, curve.dash, layer=curve.layer))
    for point, (x, _) in zip(curve.points, places):
        if point.low is not None and point.high is not None:
            top, bottom = y(point.high), y(point.low)
            bar = ((x - 3, top), (x + 3, top), (x, top), (x, bottom), (x - 3, bottom), (x + 3, bottom))
            items.append(Line(bar, curve.colour, 1.2, layer=curve.layer))
    for point, place in zip(curve.points, places):
        tip = point_text(curve.label, point, digits)
        items.append(Marker(place, curve.colour, curve.shape, 4, layer=curve.layer, tip=tip))
    return items


def point_text(label: str, point: Point, digits: int) -> str:
    """Return what a point says: "transfer, CR 15: 0.904 (0.872 to 0.929)"."""
    value = f"{label}, {ratio_name(point.ratio)}: {point.value:.{digits}f}"
    return value if point.low is None else f"{value} ({point.low:.{digits}f} to {point.high:.{digits}f})"
