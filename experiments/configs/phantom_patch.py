"""Patches of built-in phantoms, malignant lesions against benign ones and normal tissue: the default study.

Command   mammo-jax study
"""

from experiments.study_config import StudyConfig
from mammo_jax.units import UnitConfig

CONFIG = StudyConfig(units=UnitConfig(target="malignant"))
