"""A set of which no image can be read ends with one line that says where the reasons are."""

import pandas as pd
import pytest

from experiments import prepare


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
