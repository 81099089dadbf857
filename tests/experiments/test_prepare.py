"""Errors of the first stage are one line that says what to do; another codec than ours is asked for by name."""

import pandas as pd
import pytest

from experiments import prepare
from mammo_jax.files import read_json

TINY = [
    "--images",
    "8",
    "--rows",
    "416",
    "--columns",
    "320",
    "--phantom-pitch",
    "0.56",
    "--folds",
    "2",
    "--workers",
    "1",
]


def test_a_folder_of_damaged_files_is_one_clear_error(tmp_path):
    rows = ["path,patient_id,label"]
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
        rows.append(f"{number}.png,P{number},{'malignant' if number % 2 else 'normal'}")
    (tmp_path / "images.csv").write_text("\n".join(rows))
    flags = ["--source", "folder", "--source-dir", str(tmp_path / "images.csv"), "--plain-ids", "--unit", "whole"]
    with pytest.raises(SystemExit, match=r"no image could be used; .*left_out\.csv"):
        prepare.main([*flags, "--out", str(tmp_path / "run"), "--workers", "1"])
    left_out = pd.read_csv(tmp_path / "run" / "left_out.csv")
    assert len(left_out) == 10
    assert left_out["reason"].str.contains(r"\.png").all()
    assert not (tmp_path / "run" / "dataset" / "complete.json").exists()


def test_a_ratio_that_a_codec_cannot_have_is_refused_before_anything_is_compressed(tmp_path):
    flags = [*TINY, "--codec", "htj2k", "--ratios", "8", "11000", "--out", str(tmp_path / "run")]
    for _ in range(2):  # found out once, and remembered
        with pytest.raises(
            SystemExit, match=r"HTJ2K .* can compress phantom\S* \S+ times at most; ask for --ratios up to"
        ):
            prepare.main(flags)
    assert len(read_json(tmp_path / "run" / "largest_ratios.json")) == 8
    assert not (tmp_path / "run" / "dataset").exists()
