"""Real masses of CBIS-DDSM, each an image of its own, malignant against benign by biopsy.

Command   mammo-jax study --source cbis_roi --source-dir DIR/cbis-ddsm-mass-roi --pretrained WEIGHTS
Cost      40 minutes of one core's time with --no-mixed; networks trained on all ratios take more, not measured
Result    AUROC 0.84 (0.81 to 0.86) at CR 1; transfer verdict: no ratio passes, since specificity falls
"""

from pathlib import Path

from mammo_jax.dataset.units import UnitConfig
from mammo_jax.jobs.config import StudyConfig
from mammo_jax.training_config import TrainingConfig

CONFIG = StudyConfig(
    out=Path("runs/cbis-roi"),
    source="cbis_roi",
    ratios=(15.0, 20.0, 25.0, 50.0, 100.0, 150.0),  # 190 leaves headers alone
    train_ratios=(1.0,),
    mixed=True,
    # The label is the lesion's, and 18 women have lesions of both kinds: a region is judged by itself.
    analysis_level="image",
    units=UnitConfig(unit="frame", target="malignant", input_rows=128, input_columns=128),
    training=TrainingConfig(model="resnet18", epochs=6, learning_rate=1e-3),
)
