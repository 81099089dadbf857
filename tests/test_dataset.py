"""What one image adds to the dataset and its audit, when another codec than ours compresses it."""

from pathlib import Path

import pandas as pd

from mammo_jax import dataset
from mammo_jax.sources.phantom import Phantom
from mammo_jax.units import UnitConfig


def test_the_audit_of_another_codec_names_it_and_holds_its_sizes():
    source = Phantom(images=8, seed=0, rows=416, columns=320, pixel_pitch=0.56, contrast=1.0)
    plan = dataset.DatasetPlan(
        source=source,
        ratios=(8.0, 60.0),
        codec="htj2k",
        units=UnitConfig(target="lesion", input_rows=32, input_columns=32),
        folds=dict.fromkeys(source.patients(), 0),
        normal_sites={},
        examples=(),
        directory=Path("never written"),
    )
    done = [dataset._process(plan, source[index], is_example=False) for index in range(8)]
    audit = pd.DataFrame([row for _, rows in done for row in rows])
    assert len(audit) == 8 * 2
    assert audit["codec"].str.startswith("HTJ2K (openjph").all()
    assert (audit["codestream_bytes"] <= audit["target_bytes"]).all()
    assert (audit["codestream_bytes"] > 0.9 * audit["target_bytes"]).mean() > 0.9
    assert (audit["ratio_allocated"] >= audit["ratio"]).all()
    by_ratio = audit.groupby("ratio")["psnr_breast"].median()
    assert by_ratio[8] > by_ratio[60] > 20
    for records, _ in done:
        assert set(records) == {"ratio_1", "ratio_8", "ratio_60"}
        assert len(records["ratio_8"]) == len(records["ratio_1"])
