"""What a study scores, in words: the first thing that a reader of its verdict has to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammo_jax.sources.datasets import DATASETS
from mammo_jax.statistics.analysis_levels import Scored

SOURCES = {
    "phantom": "drawn phantoms",
    "mias": "mini-MIAS film scans",
    "hybrid": "lesions drawn into mini-MIAS film scans",
    "folder": "image files of the study's own",
    "cbis_roi": "real masses of CBIS-DDSM film mammograms",
    **{name: dataset.title for name, dataset in DATASETS.items()},
}
UNKNOWN = "scores from outside; what was scored is not known here"


def scored_text(settings: Mapping[str, Any]) -> str:
    """Say what the scores of a study are about: "drawn phantoms, 36 mm patches at known places, …".

    Parameters
    ----------
    settings : mapping
        A study's configuration as JSON types, as config.json has it.
    """
    source, units = settings["source"], settings["units"]
    place = {"patch": _patches, "frame": _frames, "whole": _views}[units["unit"]](units)
    return ", ".join([SOURCES.get(source, source), *place])


def scored_unit(unit: str) -> Scored:
    """Return what one score of a study is about; `unit` is the configuration's: "patch", "frame" or "whole"."""
    return "image" if unit == "whole" else "patch"


def declared_text(words: str) -> str:
    """Say what scores from outside are about, in the words of whoever hands them in."""
    return f"{words} (declared with the scores, not checked)" if words else UNKNOWN


def _patches(units: Mapping[str, Any]) -> list[str]:
    side, pixels = units["patch_mm"], units["input_rows"]
    return [f"{side:g} mm patches at known places", _pixels(units), f"{side / pixels:.2g} mm a pixel"]


def _frames(units: Mapping[str, Any]) -> list[str]:
    return ["each image already cut to its lesion", f"scaled to {_pixels(units)}", "of unknown size in mm"]


def _views(units: Mapping[str, Any]) -> list[str]:
    pitch = units["input_pitch"]
    if pitch is None:
        return ["whole views", f"each breast fitted to {_pixels(units)}"]
    return ["whole views", _pixels(units), f"{pitch:.2g} mm a pixel, or coarser where a breast would not fit"]


def _pixels(units: Mapping[str, Any]) -> str:
    return f"{units['input_rows']} × {units['input_columns']} pixels"
