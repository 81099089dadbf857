"""Sources of mammograms, one module per source; each is a sequence of `Mammogram`."""

from mammo_jax.sources.mammogram import LABELS, Label, Lesion, Mammogram, Source, SourceError

__all__ = ["LABELS", "Label", "Lesion", "Mammogram", "Source", "SourceError"]
