"""Drawings of lines, areas, markers and labels, once described and written as SVG here or as PNG (`drawing_png`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Literal

Position = tuple[float, float]
Shape = Literal["circle", "square", "triangle", "diamond", "cross"]
Anchor = Literal["start", "middle", "end"]

COLOURS = {
    "paper": "#FFFFFF",
    "ink": "#1C1C1C",
    "soft": "#555555",
    "grid": "#E4E4E4",
    "passed": "#00785A",
    "broken": "#B3261E",
    "published": "#5F5F5F",
    "blue": "#0072B2",
    "orange": "#C75300",
    "green": "#00785A",
    "purple": "#A0427F",
    "gold": "#8A6100",
    "sky": "#2A7FB8",
}
"""Role → colour on white, after the colour-blind safe palette of Okabe and Ito; page_style.html has those on black."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"


@dataclass(frozen=True)
class Line:
    """A line through points, in pixels from the top left corner; a dash is (drawn, left out)."""

    points: tuple[Position, ...]
    colour: str
    width: float = 1.0
    dash: tuple[float, float] | None = None
    layer: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Area:
    """A filled polygon."""

    points: tuple[Position, ...]
    colour: str
    opacity: float = 1.0
    layer: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Marker:
    """A mark at a point; `tip` is what the point says when it is pointed at."""

    at: Position
    colour: str
    shape: Shape = "circle"
    size: float = 4.0
    layer: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Label:
    """Text whose baseline starts, has its middle or ends at a point; `turned` reads upwards."""

    at: Position
    text: str
    colour: str = "ink"
    size: float = 14.0
    anchor: Anchor = "start"
    turned: bool = False
    bold: bool = False
    layer: str = ""
    tip: str = ""


Item = Line | Area | Marker | Label


@dataclass(frozen=True)
class Drawing:
    """Items in the order in which they are drawn, in a frame of pixels.

    Attributes
    ----------
    width, height : float
    items : tuple
        Items of one layer can be shown and hidden together.
    description : str
        The drawing in words.
    """

    width: float
    height: float
    items: tuple[Item, ...]
    description: str


def svg(drawing: Drawing, *, inline: bool = False) -> str:
    """Write a drawing as SVG, with equal bytes for equal drawings.

    Parameters
    ----------
    drawing : Drawing
    inline : bool
        For an HTML page: without the paper, and without the name space, which HTML knows. Colours are attributes, which
        a page's style overrides by class, so that a copy of the element is a complete file.
    """
    namespace = "" if inline else ' xmlns="http://www.w3.org/2000/svg"'
    size = f"{_number(drawing.width)} {_number(drawing.height)}"
    head = f'<svg{namespace} viewBox="0 0 {size}" role="img" aria-label="{escape(drawing.description)}"'
    lines = [f'{head} font-family="{FONT}">']
    if not inline:
        lines.append(f'<rect width="100%" height="100%" fill="{COLOURS["paper"]}"/>')
    for layer, items in groupby(drawing.items, key=lambda item: item.layer):
        elements = [_element(item) for item in items]
        lines += [f'<g data-layer="{escape(layer)}">', *elements, "</g>"] if layer else elements
    return "\n".join([*lines, "</svg>\n"])


def _element(item: Item) -> str:
    element = _bare_element(item)
    return f'<g class="point"><title>{escape(item.tip)}</title>{element}</g>' if item.tip else element


def _bare_element(item: Item) -> str:
    if isinstance(item, Label):
        return _text(item)
    if isinstance(item, Line):
        dash = f' stroke-dasharray="{_number(item.dash[0])} {_number(item.dash[1])}"' if item.dash else ""
        return f'<polyline points="{_points(item.points)}" fill="none" {_stroke(item.colour, item.width)}{dash}/>'
    if isinstance(item, Area):
        return f'<polygon points="{_points(item.points)}" {_fill(item.colour)} fill-opacity="{_number(item.opacity)}"/>'
    if item.shape == "circle":
        x, y = map(_number, item.at)
        return f'<circle cx="{x}" cy="{y}" r="{_number(item.size)}" {_fill(item.colour)}/>'
    if item.shape == "cross":
        strokes = (_points(line) for line in cross(item))
        return "".join(f'<polyline points="{line}" fill="none" {_stroke(item.colour, 1.6)}/>' for line in strokes)
    return f'<polygon points="{_points(outline(item))}" {_fill(item.colour)}/>'


def _text(label: Label) -> str:
    x, y = map(_number, label.at)
    turn = f' transform="rotate(-90 {x} {y})"' if label.turned else ""
    bold = ' font-weight="600"' if label.bold else ""
    place = f'x="{x}" y="{y}" font-size="{_number(label.size)}" text-anchor="{label.anchor}"'
    return f"<text {place} {_fill(label.colour)}{bold}{turn}>{escape(label.text)}</text>"


def outline(marker: Marker) -> tuple[Position, ...]:
    """Return the corners of a square, triangle or diamond."""
    (x, y), size = marker.at, marker.size
    if marker.shape == "square":
        side = 0.9 * size
        return ((x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side))
    if marker.shape == "triangle":
        return ((x, y - 1.2 * size), (x + 1.1 * size, y + 0.8 * size), (x - 1.1 * size, y + 0.8 * size))
    return ((x, y - 1.25 * size), (x + 1.25 * size, y), (x, y + 1.25 * size), (x - 1.25 * size, y))


def cross(marker: Marker) -> tuple[tuple[Position, Position], tuple[Position, Position]]:
    """Return the two strokes of a cross."""
    (x, y), size = marker.at, marker.size
    return ((x - size, y - size), (x + size, y + size)), ((x - size, y + size), (x + size, y - size))


def dashes(points: Iterable[Position], dash: tuple[float, float]) -> Iterator[tuple[Position, ...]]:
    """Cut a line into the pieces of a dash that are drawn."""
    drawn, left_out = dash
    period, done = drawn + left_out, 0.0
    corners = list(points)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:]):
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        first = -(done % period)
        while length > 0 and first < length:
            start, end = max(first, 0.0), min(first + drawn, length)
            if end > start:
                slope = (x1 - x0) / length, (y1 - y0) / length
                yield tuple((x0 + slope[0] * way, y0 + slope[1] * way) for way in (start, end))
            first += period
        done += length


def _points(points: Iterable[Position]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _stroke(colour: str, width: float) -> str:
    return f'class="s-{colour}" stroke="{COLOURS[colour]}" stroke-width="{_number(width)}"'


def _fill(colour: str) -> str:
    return f'class="f-{colour}" fill="{COLOURS[colour]}"'
