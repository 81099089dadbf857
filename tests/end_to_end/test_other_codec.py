"""The study on another codec: one flag, and the audit and the report say so."""

import pandas as pd
import pytest

from mammo_jax.jobs import study

FLAGS = [
    *("--codec", "htj2k", "--ratios", "8", "60", "--images", "24", "--rows", "416", "--columns", "320"),
    *(
        "--phantom-pitch",
        "0.56",
        "--folds",
        "3",
        "--epochs",
        "1",
        "--filters",
        "4",
        "4",
        "8",
        "--validation-parts",
        "3",
    ),
    *("--target", "lesion", "--train-ratios", "1", "--input-rows", "32", "--input-columns", "32"),
    *("--resamples", "100", "--workers", "1"),
]


@pytest.mark.slow
def test_the_codec_is_chosen_by_name_and_named_in_audit_and_report(tmp_path, capsys):
    out = tmp_path / "run"
    study.main(["--out", str(out), *FLAGS])
    assert str(out / "report.html") in capsys.readouterr().out
    audit = pd.read_csv(out / "audit.csv")
    assert len(audit) == 24 * 2
    assert audit["codec"].str.startswith("HTJ2K (openjph").all()
    page = (out / "report.html").read_text()
    assert "Audit of 24 images, compressed by HTJ2K (openjph" in page
    assert pd.read_parquet(out / "predictions.parquet")["test_ratio"].nunique() == 3
