"""Exact-ratio JPEG 2000 (ITU-T T.800 | ISO/IEC 15444-1) for greyscale images, in numpy and numba."""
