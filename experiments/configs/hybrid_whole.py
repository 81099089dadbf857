"""Lesions planted into the normal mammograms of mini-MIAS, as whole images, abnormal against normal.

Command   mammo-jax study --source hybrid --source-dir DIR/mini-mias --unit whole --out runs/hybrid-whole
"""

from pathlib import Path

from experiments.study_config import StudyConfig
from mammo_jax.units import UnitConfig

CONFIG = StudyConfig(
    out=Path("runs/hybrid-whole"),
    source="hybrid",
    units=UnitConfig(unit="whole", target="abnormal", input_rows=256, input_columns=192),
)
