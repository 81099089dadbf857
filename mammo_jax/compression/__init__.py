"""Compression: images to a ladder of ratios, by our codec or another; files and DICOM objects to exact ratios."""
