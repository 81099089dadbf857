"""Patches of built-in phantoms, lesion or normal tissue: the default study.

Command   mammo-jax study
"""

from experiments.study_config import StudyConfig

CONFIG = StudyConfig()
