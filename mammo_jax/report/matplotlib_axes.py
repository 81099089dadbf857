"""What the figures that matplotlib draws have in common: the ratio axis, and rendering to bytes."""

from __future__ import annotations

import io
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from mammo_jax.ratios import ratio_text

TICKS = (1, 15, 50, 100, 500, 1000, 5000, 10000)
GREY = "#5F5F5F"


def finish_ratio_axis(axes: Axes) -> None:
    """Set up the x axis for the compression ratio on a log scale, and draw a grid."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick // 1000}k" if tick >= 1000 else ratio_text(tick) for tick in TICKS])
    axes.set_xlabel("compression ratio (1: uncompressed; log scale)", fontsize=11)
    axes.tick_params(labelsize=10.5)
    axes.grid(color="#E4E4E4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def figure_bytes(figure: Figure, kind: Literal["svg", "png"]) -> bytes:
    """Render a figure reproducibly: without date and with fixed ids, so that equal figures give equal bytes.

    Text is converted to outlines, so that an SVG does not depend on installed fonts.
    """
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "mammo_jax", "svg.fonttype": "path"}):
        if kind == "svg":
            figure.savefig(stream, format="svg", metadata={"Date": None})
        else:
            figure.savefig(stream, format="png", dpi=160)
    return stream.getvalue()
