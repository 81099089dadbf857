"""Saliency: attribution maps of the networks, their change with compression, and sanity checks."""
