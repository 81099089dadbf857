"""Outlines as masks."""

import numpy as np
import pytest

from mammo_jax.sources import SourceError
from mammo_jax.sources.regions import Region, ellipse, filled


def test_outlines_that_leave_the_image_are_clipped():
    mask = filled((((-5, -5), (-5, 3), (3, 3), (3, -5)),), (10, 10))
    np.testing.assert_array_equal(np.argwhere(mask), np.argwhere(np.pad(np.ones((4, 4)), ((0, 6), (0, 6)))))
    assert not filled(((), ((50.0, 50.0),)), (10, 10)).any()
    assert filled((ellipse(20, 20, 8, 15),), (41, 41)).sum() == pytest.approx(np.pi * 8 * 15, rel=0.05)
    assert filled((((2.2, 2.2), (2.4, 2.2), (2.4, 2.4)),), (5, 5)).sum() == 1
    with pytest.raises(SourceError, match="has no pixel inside the image"):
        Region("benign", None, (((50.0, 50.0),),)).lesion((10, 10), max_pixels=100)
