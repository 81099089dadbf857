"""Layers and operations that the networks are built from."""
