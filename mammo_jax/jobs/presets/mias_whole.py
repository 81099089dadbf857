"""The 322 mini-MIAS mammograms as whole images, malignant against the rest.

Command   mammo-jax study --source mias --source-dir DIR/mini-mias --unit whole --out runs/mias-whole
Cost      less than an hour on two cores
Result    AUROC 0.55 (0.47 to 0.63) at CR 1: cannot tell
"""

from pathlib import Path

from mammo_jax.dataset.units import UnitConfig
from mammo_jax.jobs.config import StudyConfig

CONFIG = StudyConfig(
    out=Path("runs/mias-whole"),
    source="mias",
    analysis_level="woman",
    units=UnitConfig(unit="whole", target="malignant", input_rows=256, input_columns=192),
)
