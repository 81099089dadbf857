"""Nothing that identifies a patient gets from DICOM files into the run folder of a study."""

import numpy as np
import pandas as pd
import pytest
from canaries import FILES, canaries, hits

from mammo_jax.jobs import prepare

pytestmark = pytest.mark.usefixtures("without_processes")


def test_fifty_canaries(tmp_path, capfd):
    canaries(tmp_path / "archive")
    (tmp_path / "key").write_bytes(b"k" * 32)
    paths = sorted((tmp_path / "archive").rglob("*.dcm"))
    table = pd.DataFrame({"path": paths, "patient_id": "", "label": np.resize(["malignant", "normal"], len(paths))})
    table.to_csv(tmp_path / "images.csv", index=False)
    flags = ["--source", "folder", "--source-dir", str(tmp_path / "images.csv"), "--id-key", str(tmp_path / "key")]
    settings = ["--unit", "whole", "--ratios", "4", "8", "--folds", "2", "--workers", "1"]
    prepare.main([*flags, *settings, "--out", str(tmp_path / "run")])
    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert len(pd.read_csv(tmp_path / "run" / "audit.csv")) >= 2 * FILES
    for path in written:
        assert hits(path.read_bytes()) == [], path
        assert hits(str(path.relative_to(tmp_path)).encode()) == []
    said = capfd.readouterr()
    assert hits((said.out + said.err).encode()) == []
