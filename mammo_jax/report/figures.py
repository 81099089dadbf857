"""Figures of the report: a drawing with what stands around it in the page, its values as CSV, and files for papers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mammo_jax.files import atomic_path, write_text
from mammo_jax.report.drawing import Drawing, Item, Label, Line, Marker, Shape, svg
from mammo_jax.report.drawing_png import png
from mammo_jax.report.ratio_chart import LEFT, SMALL, Curve
from mammo_jax.run_folder import RunFolder

LAYERS = {
    "matched": "matched",
    "mixed": "mixed",
    "recommendations": "published recommendations",
    "published": "Jo et al. (other data)",
}
"""Layers that the page can show and hide → their names; the style of the page has a rule for each."""
HIDDEN_AT_FIRST = ("published",)
KEY_HEIGHT = 20.0


@dataclass(frozen=True)
class Key:
    """An entry of the legend."""

    label: str
    colour: str
    shape: Shape | None
    dash: tuple[float, float] | None
    layer: str

    def drawn(self, y: float) -> Iterator[Item]:
        """Yield the sample and the text, at this height."""
        yield Line(((LEFT, y), (LEFT + 34, y)), self.colour, 2, self.dash, layer=self.layer)
        if self.shape is not None:
            yield Marker((LEFT + 17, y), self.colour, self.shape, layer=self.layer)
        yield Label((LEFT + 44, y + 5), self.label, "ink", SMALL, layer=self.layer)


@dataclass(frozen=True)
class ReportFigure:
    """A figure.

    Attributes
    ----------
    name : str
        Of its files: "auroc".
    title, caption : str
    drawing : Drawing
    header, rows : sequence
        The values as a table.
    keys : tuple of Key
    """

    name: str
    title: str
    caption: str
    drawing: Drawing
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    keys: tuple[Key, ...] = field(default=())

    @property
    def csv(self) -> str:
        """The values as CSV."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([self.header, *self.rows])
        return stream.getvalue()

    @property
    def with_legend(self) -> Drawing:
        """The drawing with its legend below, a line for each entry."""
        items = [
            item for place, key in enumerate(self.keys) for item in key.drawn(self.drawing.height + 14 + 20 * place)
        ]
        height = self.drawing.height + (24 + 20 * len(self.keys) if self.keys else 0)
        return replace(self.drawing, height=height, items=(*self.drawing.items, *items))

    def in_page(self, prefix: str = "") -> dict[str, Any]:
        """Return the template's variables; `prefix` makes the element's id unique in a page."""
        used = {item.layer for item in self.drawing.items}
        layers = [
            {"name": name, "label": label, "shown": name not in HIDDEN_AT_FIRST}
            for name, label in LAYERS.items()
            if name in used
        ]
        return {
            "id": f"figure-{prefix}{self.name}",
            "name": self.name,
            "title": self.title,
            "caption": self.caption,
            "svg": svg(self.with_legend, inline=True),
            "csv": self.csv,
            "layers": layers,
        }

    def write(self, run: RunFolder) -> None:
        """Write figures/NAME.svg, .png and .csv."""
        drawing = self.with_legend
        write_text(run.figure(self.name, "svg"), svg(drawing))
        write_text(run.figure(self.name, "csv"), self.csv)
        with atomic_path(run.figure(self.name, "png")) as temporary:
            temporary.write_bytes(png(drawing))


def keys(curves: Sequence[Curve]) -> tuple[Key, ...]:
    """Return the legend of curves."""
    return tuple(Key(curve.label, curve.colour, curve.shape, curve.dash, curve.layer) for curve in curves)


def curve_rows(curves: Sequence[Curve], measure: str) -> list[list[Any]]:
    """Return the rows of a table with columns curve, measure, compression_ratio, value, low, high."""
    return [
        [curve.label, measure, point.ratio, point.value, point.low, point.high]
        for curve in curves
        for point in curve.points
    ]


CURVE_HEADER = ("curve", "measure", "compression_ratio", "value", "low", "high")


def describe(title: str, curves: Sequence[Curve], digits: int = 2) -> str:
    """Describe a chart in words, for readers who cannot see it."""
    sentences = [f"{title} against the compression ratio."]
    for curve in curves:
        points = ", ".join(f"{point.value:.{digits}f} at {point.ratio:g}" for point in curve.points)
        sentences.append(f"{curve.label[0].upper()}{curve.label[1:]}: {points}.")
    return " ".join(sentences)
