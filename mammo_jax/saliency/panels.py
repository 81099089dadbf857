"""Panels for the report: an image, the same with its map as overlay, and the lesion's outline, one per ratio."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from mammo_jax.files import atomic_path
from mammo_jax.run_folder import SaliencyFolder
from mammo_jax.saliency.localisation import smooth
from mammo_jax.saliency.maps import load_maps
from mammo_jax.saliency.methods import Method
from mammo_jax.saliency.stage import TRAINED
from mammo_jax.saliency.summary import THRESHOLD

SIDE = 240
"""Pixels of the longer side of each of a panel's two images."""
OUTLINE = (64, 224, 208)
MAX_PATIENTS = 3
FULL_STRENGTH = 99.5
"""Percentile of the smoothed map at CR 1 that is shown at full strength; with the maximum the rest would be dark."""


def choose_images(images: pd.DataFrame) -> list[str]:
    """Return the ids of one image each of at most 3 patients: first those classified correctly at CR 1, by id.

    So the choice does not depend on how a map looks.

    Parameters
    ----------
    images : DataFrame
        Rows of the trained model at CR 1, one per image: image_id, patient_id, score.
    """
    ordered = images.assign(wrong=images["score"] <= THRESHOLD).sort_values(["wrong", "image_id"])
    return ordered.drop_duplicates("patient_id")["image_id"].head(MAX_PATIENTS).tolist()


def write_panel(
    path: Path,
    image: np.ndarray,
    attributions: np.ndarray,
    lesion: np.ndarray,
    window: tuple[float, float],
    full: float,
) -> None:
    """Write one panel as PNG: at the top the image with the lesion's outline, below the same with the map as overlay.

    Parameters
    ----------
    path : Path
    image : uint16 [rows, columns]
    attributions : float [rows, columns]
        Only positive contributions are shown.
    lesion : bool [rows, columns]
    window : (low, high)
        Grey levels shown as black and white.
    full : float
        Smoothed contribution that is shown at full strength.
    """
    factor = max(1, round(SIDE / max(image.shape)))
    low, high = window
    grey = np.clip((image.astype(float) - low) / max(high - low, 1.0), 0, 1)
    strength = np.clip(smooth(attributions) / full, 0, 1) if full > 0 else np.zeros(image.shape)
    grey, strength = (_enlarged(values, factor) for values in (grey, strength))
    outline = _outline(np.kron(lesion, np.ones((factor, factor), bool)))
    plain = np.repeat(grey[..., None], 3, axis=2)
    colours, opacity = heat(strength)
    overlaid = plain * (1 - opacity) + colours * opacity
    panel = np.rint(255 * np.concatenate([plain, np.ones((4, plain.shape[1], 3)), overlaid])).astype(np.uint8)
    edge = np.concatenate([outline, np.zeros((4, outline.shape[1]), bool), outline])
    panel[edge] = OUTLINE
    with atomic_path(path) as temporary:
        Image.fromarray(panel).save(temporary, format="PNG", optimize=True)


def heat(strength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return colours [rows, columns, 3] and opacity [rows, columns, 1] of a map of strengths from 0 to 1."""
    colours: np.ndarray = matplotlib.colormaps["inferno"](0.25 + 0.75 * strength)[..., :3]
    return colours, 0.75 * np.sqrt(strength)[..., None]


def _enlarged(values: np.ndarray, factor: int) -> np.ndarray:
    size = (values.shape[1] * factor, values.shape[0] * factor)
    return np.clip(np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)), 0, 1)


def _outline(mask: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(mask, iterations=2) & ~mask


def write_panels(folder: SaliencyFolder, images: pd.DataFrame, method: Method) -> None:
    """Write a panel for every ratio of the chosen images; existing files are not written again.

    Grey levels and strength of an image have the same scale at all ratios, that of CR 1, so that a weaker map is also
    shown weaker.

    Parameters
    ----------
    folder : SaliencyFolder
        With maps.
    images : DataFrame
        images.parquet.
    method : str
        The method whose maps are shown.
    """
    trained = images[(images["model"] == TRAINED) & (images["method"] == method)]
    first = trained[trained["ratio"] == 1].set_index("image_id")
    for image_id in choose_images(first.reset_index()):
        fold = int(first["fold"][image_id])
        window, full = (0.0, 0.0), 0.0
        for ratio in sorted(trained["ratio"].unique()):  # 1 comes first
            stored = load_maps(folder.maps(ratio, fold))
            index = int(np.flatnonzero(stored.image_ids == image_id)[0])
            image, attributions = stored.images[index], stored.maps[method][index]
            if ratio == 1:
                low, high = np.percentile(image, (0.5, 99.5))
                window, full = (float(low), float(high)), float(np.percentile(smooth(attributions), FULL_STRENGTH))
            path = folder.panels.picture(image_id, ratio)
            if not path.exists():
                write_panel(path, image, attributions, stored.lesions[index], window, full)
