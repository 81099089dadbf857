"""Presets of the study, one file for each pair of source and unit."""
