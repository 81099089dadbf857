"""Charts of lines over shares from 0 to 1: ROC curves, insertion and deletion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mammo_jax.report.drawing import Drawing, Item, Label, Line
from mammo_jax.report.figures import Key
from mammo_jax.report.ratio_chart import BOTTOM, HEIGHT, LEFT, MEDIUM, RIGHT, SMALL, TOP, WIDTH

TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class ShareLine:
    """A line; `label` is for the legend, and said where the line is pointed at."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: str
    dash: tuple[float, float] | None = None


def line_chart(
    lines: Sequence[ShareLine], *, x_title: str, y_title: str, description: str, diagonal: bool = False
) -> tuple[Drawing, tuple[Key, ...]]:
    """Draw lines whose x and y are from 0 to 1, and return the drawing and its legend; `diagonal` is that of chance."""

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + x * (RIGHT - LEFT), BOTTOM - y * (BOTTOM - TOP)

    items: list[Item] = []
    for tick in TICKS:
        items += [Line((place(0, tick), place(1, tick)), "grid"), Line((place(tick, 0), place(tick, 1)), "grid")]
        items.append(Label((LEFT - 6, place(0, tick)[1] + 4.5), f"{tick:g}", "ink", SMALL, "end"))
        items.append(Label((place(tick, 0)[0], BOTTOM + 19), f"{tick:g}", "ink", SMALL, "middle"))
    if diagonal:
        items.append(Line((place(0, 0), place(1, 1)), "soft", 1, (4, 4)))
    for line in lines:
        points = tuple(place(x, y) for x, y in zip(line.xs, line.ys))
        items.append(Line(points, line.colour, 2, line.dash, tip=line.label))
    items.append(Label(((LEFT + RIGHT) / 2, BOTTOM + 42), x_title, "ink", SMALL, "middle"))
    items.append(Label((15, (TOP + BOTTOM) / 2), y_title, "ink", MEDIUM, "middle", turned=True))
    legend = tuple(Key(line.label, line.colour, None, line.dash, "") for line in lines)
    return Drawing(WIDTH, HEIGHT, tuple(items), description), legend
