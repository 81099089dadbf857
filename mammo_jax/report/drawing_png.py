"""Drawings as PNG, for programs that do not take SVG."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageColor, ImageDraw, ImageFont

from mammo_jax.report.drawing import COLOURS, Area, Drawing, Item, Label, Line, Marker, cross, dashes, outline

SCALE = 3
"""Pixels of the file for one of the drawing."""
SMOOTHING = 2
"""It is drawn this much larger, and made smaller, so that edges are smooth."""
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FONT_SIZE = 0.9
"""DejaVu Sans is wider than the fonts of a browser."""


def png(drawing: Drawing) -> bytes:
    """Write a drawing as PNG on white; layers are all drawn."""
    factor = SCALE * SMOOTHING
    size = (round(drawing.width * factor), round(drawing.height * factor))
    image = Image.new("RGB", size, COLOURS["paper"])
    pen = ImageDraw.Draw(image, "RGBA")
    for item in drawing.items:
        _draw(image, pen, item, factor)
    stream = io.BytesIO()
    image.reduce(SMOOTHING).save(stream, format="PNG", compress_level=4)
    return stream.getvalue()


def _draw(image: Image.Image, pen: ImageDraw.ImageDraw, item: Item, factor: float) -> None:
    red, green, blue = ImageColor.getrgb(COLOURS[item.colour])[:3]
    colour = (red, green, blue, 255)
    if isinstance(item, Label):
        _write(image, pen, item, factor, colour)
    elif isinstance(item, Line):
        pieces = dashes(item.points, item.dash) if item.dash else [item.points]
        for piece in pieces:
            pen.line(_scaled(piece, factor), fill=colour, width=max(1, round(item.width * factor)), joint="curve")
    elif isinstance(item, Area):
        pen.polygon(_scaled(item.points, factor), fill=(red, green, blue, round(255 * item.opacity)))
    else:
        _mark(pen, item, factor, colour)


def _mark(pen: ImageDraw.ImageDraw, marker: Marker, factor: float, colour: tuple[int, int, int, int]) -> None:
    if marker.shape == "circle":
        (x, y), size = marker.at, marker.size
        pen.ellipse(_scaled(((x - size, y - size), (x + size, y + size)), factor), fill=colour)
    elif marker.shape == "cross":
        for stroke in cross(marker):
            pen.line(_scaled(stroke, factor), fill=colour, width=round(1.6 * factor))
    else:
        pen.polygon(_scaled(outline(marker), factor), fill=colour)


def _write(
    image: Image.Image, pen: ImageDraw.ImageDraw, label: Label, factor: float, colour: tuple[int, int, int, int]
) -> None:
    font = _font(round(label.size * factor * FONT_SIZE), label.bold)
    x, y = (coordinate * factor for coordinate in label.at)
    if not label.turned:
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[label.anchor]
        pen.text((x, y), label.text, fill=colour, font=font, anchor=anchor)
        return
    left, top, right, bottom = font.getbbox(label.text, anchor="ls")
    width, ascent, descent = round(right - left), round(-top), round(bottom)
    mask = Image.new("L", (width, ascent + descent))
    ImageDraw.Draw(mask).text((-left, ascent), label.text, fill=255, font=font, anchor="ls")
    shift = {"start": 0, "middle": width / 2, "end": width}[label.anchor]
    corner = (round(x - ascent), round(y - width + shift))
    image.paste(colour[:3], corner, mask.transpose(Image.Transpose.ROTATE_90))


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONTS / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), size)


def _scaled(points: tuple[tuple[float, float], ...], factor: float) -> list[tuple[float, float]]:
    return [(x * factor, y * factor) for x, y in points]
