"""Compile the codec's kernels into Numba's cache: `python compile_kernels.py encode` (or `decode`), one minute at most.

Workers of pytest-xdist begin with that cache.
"""

import sys

import imagecodecs
import numpy as np

import codec

PIXELS = np.random.default_rng(0).integers(0, 4096, (200, 300)).astype(np.uint16)


def encode():
    list(codec.encode_ladder(PIXELS, [10, 50]))
    codec.encode_lossless(PIXELS)
    codec.encode_layers(PIXELS, [50, 10])


def decode():
    for settings in ({"level": 0, "reversible": True}, {"level": 40, "reversible": False}):
        codec.decode(imagecodecs.jpeg2k_encode(PIXELS, codecformat="j2k", **settings))


if __name__ == "__main__":
    {"encode": encode, "decode": decode}[sys.argv[1]]()
