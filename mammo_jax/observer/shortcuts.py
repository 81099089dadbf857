"""Shortcuts: what a score could be made of without looking at a lesion, from the file and from the patch's corners."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mammo_jax.dataset.input_pipeline import Examples

MAX_PSNR = 120.0
"""In dB; the PSNR of a codestream without loss is infinite."""

SHORTCUTS = {
    "codestream_bytes": "bytes of the file",
    "padding_bytes": "padding bytes in the file",
    "psnr": "PSNR of the image",
    "psnr_breast": "PSNR of the breast",
    "breast_pixels": "area of the breast",
    "breast_share": "share of breast in the patch",
    "corner_mean": "mean grey level of the patch's corners",
    "corner_deviation": "standard deviation of the grey levels in the patch's corners",
}
"""Statistic → its name in a text."""


def shortcut_statistics(
    examples: Examples, source_ids: np.ndarray, ratio: float, audit: pd.DataFrame, images: pd.DataFrame
) -> np.ndarray:
    """Return the statistics of every patch at one ratio.

    Bytes are the same for all images of one size, since ratios are exact. How hard an image is to compress is then in
    its PSNR and its padding. The corners lie outside the circle that the patch encloses, so that they show what is
    around a lesion.

    Parameters
    ----------
    examples : Examples
        Of this ratio, with breast masks.
    source_ids : str [n]
        The image that each patch was cut from.
    ratio : float
    audit, images : DataFrame
        Of the run.

    Returns
    -------
    float64 [n, statistics], in the order of `SHORTCUTS`
    """
    files = _file_statistics(ratio, audit, images).loc[source_ids]
    pixels = examples.images[..., 0].astype(np.float64)
    corners = pixels[:, outside_circle(pixels.shape[1])]
    if examples.breasts is None:
        raise ValueError("examples: read without breast masks")
    columns = {name: files[name].to_numpy(np.float64) for name in files} | {
        "breast_share": (examples.breasts > 0).mean(axis=(1, 2, 3)),
        "corner_mean": corners.mean(axis=1),
        "corner_deviation": corners.std(axis=1),
    }
    return np.stack([columns[name] for name in SHORTCUTS], axis=1)


def outside_circle(size: int) -> np.ndarray:
    """Return the pixels outside the largest circle in a square patch, bool [size, size]."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    return rows**2 + columns**2 > (size / 2) ** 2


def _file_statistics(ratio: float, audit: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return the statistics of the files at a ratio, by image; at CR 1 nothing is lost and nothing padded."""
    first = audit[audit["ratio"] == audit["ratio"].min()].set_index("image_id")
    area = (8 * first["codestream_bytes"] / first["bits_per_breast_pixel"]).rename("breast_pixels")
    if ratio > 1:
        files = audit[audit["ratio"] == ratio].set_index("image_id")
        files = files[["codestream_bytes", "padding_bytes", "psnr", "psnr_breast"]]
        files = files.assign(**{name: files[name].clip(upper=MAX_PSNR) for name in ("psnr", "psnr_breast")})
    else:
        sizes = images.set_index("image_id")
        uncompressed = sizes["rows"] * sizes["columns"] * sizes["bits_allocated"] // 8
        files = pd.DataFrame({"codestream_bytes": uncompressed, "padding_bytes": 0})
        files = files.assign(psnr=MAX_PSNR, psnr_breast=MAX_PSNR)
    return files.join(area)
