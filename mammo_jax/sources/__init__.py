"""Where mammograms come from: one file a source, each yielding `Mammogram`."""

from mammo_jax.sources.mammogram import LABELS, Label, Lesion, Mammogram, Source, SourceError, iterate

__all__ = ["LABELS", "Label", "Lesion", "Mammogram", "Source", "SourceError", "iterate"]
