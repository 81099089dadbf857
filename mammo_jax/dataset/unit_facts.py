"""What is known of a unit besides its label, for results in subgroups."""

from __future__ import annotations

from typing import Any

from mammo_jax.dataset.units import Unit, UnitConfig, is_positive
from mammo_jax.sources import Mammogram


def unit_facts(mammogram: Mammogram, unit: Unit, config: UnitConfig) -> dict[str, Any]:
    """Return a unit's row of subgroups.csv.

    Returns
    -------
    dict
        image_id: as in the predictions; laterality, view, density; lesion_kind: of the lesion that a patch shows, or of
        all lesions of the target in a whole view; lesion_size_mm: diameter of the circle around it, of the largest one;
        model_pixel_mm: how much of the detector one pixel of the model's input covers. None where it is not known.
    """
    if unit.site is None:
        lesions = [lesion for lesion in mammogram.lesions if is_positive(lesion.label, config.target)]
    else:
        at = (unit.site.row, unit.site.column)
        lesions = [lesion for lesion in mammogram.lesions if (lesion.row, lesion.column) == at]
    kinds = sorted({lesion.kind for lesion in lesions if lesion.kind is not None})
    pitch = mammogram.pixel_pitch or config.pixel_pitch
    sizes = [2 * lesion.radius * pitch for lesion in lesions if pitch is not None]
    return {
        "image_id": unit.unit_id,
        "laterality": mammogram.laterality,
        "view": mammogram.view,
        "density": mammogram.density,
        "lesion_kind": " and ".join(kinds) or None,
        "lesion_size_mm": round(max(sizes), 2) if sizes else None,
        "model_pixel_mm": None if pitch is None else round(pitch * unit.pixels_per_model_pixel, 4),
    }
