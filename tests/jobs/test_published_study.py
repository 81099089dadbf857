"""A published data set goes the way of any study, and the report says what was read."""

import pandas as pd
import pytest
from published_trees import TREES

from mammo_jax.files import read_json
from mammo_jax.jobs import prepare
from mammo_jax.jobs.config import StudyConfig
from mammo_jax.jobs.study_run import as_json
from mammo_jax.report.study_facts import study_facts
from mammo_jax.run_folder import RunFolder
from mammo_jax.sources.datasets import PublishedConfig

pytestmark = pytest.mark.usefixtures("without_processes")

TINY = ["--folds", "2", "--ratios", "5", "--input-rows", "32", "--input-columns", "32", "--workers", "1"]


def test_patches_and_whole_images_of_cbis_ddsm(tmp_path):
    flags = ["--source", "cbis-ddsm", "--source-dir", str(TREES["cbis-ddsm"](tmp_path / "data")), *TINY]
    prepare.main([*flags, "--unit", "whole", "--out", str(tmp_path / "whole")])
    run = RunFolder(tmp_path / "whole")
    assert pd.read_csv(run.images)["patient_id"].nunique() == 5
    folds = pd.read_csv(run.folds)
    assert sorted(folds["patient_id"]) == [f"P_0000{number}" for number in range(1, 6)]
    patches = ["--unit", "patch", "--pixel-pitch", "1", "--patch-mm", "8", "--out", str(tmp_path / "patch")]
    prepare.main([*flags, *patches, "--target", "malignant", "--normals-per-lesion", "0"])
    groups = pd.read_csv(RunFolder(tmp_path / "patch").subgroups)
    assert set(groups["lesion_kind"]) == {"mass", "calcifications"}
    facts = study_facts(read_json(run.config)["config"])
    assert "film mammograms of CBIS-DDSM (Lee et al., Sci Data 2017" in facts["data_source"]


def test_the_report_shows_the_rule_for_birads(tmp_path):
    flags = ["--source", "vindr-mammo", "--source-dir", str(TREES["vindr-mammo"](tmp_path / "data")), *TINY]
    with pytest.raises(SystemExit, match="fold"):  # four images are too few
        prepare.main([*flags, "--unit", "whole", "--split", "train", "--out", str(tmp_path / "run")])
    rule = {"birads_normal": ("1", "2"), "birads_benign": ("3",), "birads_malignant": ("4", "5")}
    config = StudyConfig(source="vindr-mammo", published=PublishedConfig(split="train", **rule))
    facts = study_facts(as_json(config))
    assert facts["reference"].endswith("normal: 1, 2; benign: 3; malignant: 4, 5.")
    assert "its part 'train'" in facts["data_source"]
