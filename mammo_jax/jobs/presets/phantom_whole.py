"""Whole phantom images, abnormal against normal: a network that knows lesions from patches looks through windows.

Its features come from patches of other patients, and are trained on with image labels (as Shen et al. 2019 do).

Command   mammo-jax study --target abnormal --images 2400 --filters 16 32 64 --learning-rate 2e-3 \
              --train-ratios 1 --ratios 11000 --out runs/phantom-features
          mammo-jax study --unit whole --features-from runs/phantom-features --out runs/phantom-whole
Cost      40 minutes for the features and 50 for the rest, on two busy cores
Result    AUROC 0.80 (0.77 to 0.83) at CR 1; transfer verdict: up to CR 100. How windows are chosen and summed was
          found on 200 images of fold 1 (0.82); the other four folds have 0.795.
"""

from pathlib import Path

from mammo_jax.dataset.units import UnitConfig
from mammo_jax.jobs.config import StudyConfig
from mammo_jax.jobs.source_config import PhantomConfig
from mammo_jax.training_config import TrainingConfig

CONFIG = StudyConfig(
    out=Path("runs/phantom-whole"),
    train_ratios=(1.0,),
    phantom=PhantomConfig(phantom_seed=1, images=1200),
    analysis_level="woman",
    units=UnitConfig(unit="whole", target="abnormal", input_rows=416, input_columns=320, input_pitch=0.5625),
    training=TrainingConfig(
        filters=(16, 32, 64), window=64, window_step=16, epochs=2, batch_size=8, learning_rate=3e-4
    ),
)
