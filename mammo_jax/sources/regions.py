"""Regions of an image."""

from __future__ import annotations

import numpy as np


def enclosing_circle(mask: np.ndarray) -> tuple[float, float, float]:
    """Return the centre of mass of a mask, and the radius of the circle around it that contains all its pixels."""
    rows, columns = np.nonzero(mask)
    centre_row, centre_column = float(rows.mean()), float(columns.mean())
    radius = float(np.hypot(rows - centre_row, columns - centre_column).max())
    return centre_row, centre_column, max(radius, 0.5)
