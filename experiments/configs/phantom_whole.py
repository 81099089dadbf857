"""Whole phantom images, abnormal against normal, starting from the features of a patch study (Shen et al. 2019).

Command   mammo-jax study --source phantom --unit whole --features-from runs/study --out runs/phantom-whole
"""

from pathlib import Path

from experiments.study_config import PhantomConfig, StudyConfig
from mammo_jax.units import UnitConfig

CONFIG = StudyConfig(
    out=Path("runs/phantom-whole"),
    train_ratios=(1.0,),
    phantom=PhantomConfig(phantom_seed=1, images=1200),
    units=UnitConfig(unit="whole", target="abnormal", input_rows=416, input_columns=320, input_pitch=0.5625),
)
