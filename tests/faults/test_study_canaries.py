"""Nothing that identifies a patient gets from DICOM files into what a study writes or says."""

import numpy as np
import pandas as pd
import pytest
from canaries import FILES, canaries, hits

from mammo_jax.jobs import study

pytestmark = pytest.mark.usefixtures("without_processes")
CUT, DAMAGED = 11, 12
"""Numbers of two files that cannot be used: one ends early, of the other a value is damaged."""


def prepared_flags(folder):
    canaries(folder / "archive")
    (folder / "key").write_bytes(b"k" * 32)
    paths = sorted((folder / "archive").rglob("*.dcm"))
    paths[CUT].write_bytes(paths[CUT].read_bytes()[:-1000])
    paths[DAMAGED].write_bytes(paths[DAMAGED].read_bytes().replace(b"MONOCHROME2", b"GEHEIM12^GE"))
    table = pd.DataFrame({"path": paths, "patient_id": "", "label": np.resize(["malignant", "normal"], len(paths))})
    table.to_csv(folder / "images.csv", index=False)
    flags = ["--source", "folder", "--source-dir", str(folder / "images.csv"), "--id-key", str(folder / "key")]
    flags += ["--unit", "whole", "--input-rows", "32", "--input-columns", "32", "--ratios", "4", "--folds", "2"]
    return [*flags, "--epochs", "1", "--filters", "2", "2", "2", "--resamples", "200", "--workers", "1"]


def test_fifty_canaries(tmp_path, capfd, caplog):
    run = tmp_path / "run"
    study.main([*prepared_flags(tmp_path), "--out", str(run)])
    said = capfd.readouterr()
    assert "report: " in said.out
    assert "some images are left out: " in caplog.text
    assert hits((said.out + said.err + caplog.text.replace(str(tmp_path), "")).encode()) == []
    left_out = pd.read_csv(run / "left_out.csv")
    assert len(left_out) == 2
    assert hits(left_out.drop(columns="reason").to_csv().encode()) == []  # of all columns this one alone has paths
    written = [path for path in run.rglob("*") if path.is_file() and path.name != "left_out.csv"]
    names = {path.name for path in written}
    assert names >= {"report.html", "predictions.parquet", "metrics.json", "protocol.json", "log.jsonl", "config.json"}
    for path in written:
        assert hits(path.read_bytes()) == [], path
        assert hits(str(path.relative_to(tmp_path)).encode()) == []
    for path in run.rglob("*.parquet"):  # whose columns are compressed
        assert hits(pd.read_parquet(path).to_csv().encode()) == []
    assert pd.read_parquet(run / "predictions.parquet")["patient_id"].nunique() == FILES - 2
