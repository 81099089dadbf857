"""The greyscale codestreams of T.803 | ISO/IEC 15444-4, profile 0, decoded within the class-1 tolerances.

For every one of these eight, Table C.6 allows a peak error of 0 and a mean squared error of 0.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from codec import decode

NAMES = ["01", "02", "03", "09", "11", "12", "15", "16"]


def read_pgx(path):
    """PGX: a text line ``PG ML [+-] depth columns rows`` and big-endian samples."""
    head, _, samples = path.read_bytes().partition(b"\n")
    fields = head.decode().replace("+", " + ").replace("-", " - ").split()
    assert fields[:2] == ["PG", "ML"]
    depth, columns, rows = (int(field) for field in fields if field.isdigit())
    kind = f">{'i' if '-' in fields else 'u'}{1 if depth <= 8 else 2}"
    return np.frombuffer(samples, kind).reshape(rows, columns)


@pytest.mark.parametrize("name", NAMES)
def test_conformance_stream_equals_its_reference(name):
    root = os.environ.get("MAMMO_SHARED_DATA")
    if root is None:
        pytest.skip("MAMMO_SHARED_DATA is not set")
    folder = Path(root) / "j2k-conformance"
    reference = read_pgx(folder / f"c1p0_{name}_0.pgx")
    pixels = decode((folder / f"p0_{name}.j2k").read_bytes())
    assert pixels.dtype == reference.dtype.newbyteorder("=")
    np.testing.assert_array_equal(pixels, reference)
