"""Lesions planted into the normal mammograms of mini-MIAS, as whole images, abnormal against normal.

Command   mammo-jax study --source hybrid --source-dir DIR/mini-mias --unit whole --out runs/hybrid-whole
"""

from pathlib import Path

from mammo_jax.dataset.units import UnitConfig
from mammo_jax.jobs.config import StudyConfig

CONFIG = StudyConfig(
    out=Path("runs/hybrid-whole"),
    source="hybrid",
    analysis_level="woman",
    units=UnitConfig(unit="whole", target="abnormal", input_rows=256, input_columns=192),
)
