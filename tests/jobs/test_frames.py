"""Images that are patches already: generated ones, and a few real masses where the shared data is."""

import csv
import os
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
import pytest

from mammo_jax.dataset.input_pipeline import read_examples
from mammo_jax.jobs import prepare
from mammo_jax.jobs.config import parse
from mammo_jax.jobs.saliency import _check_marks
from mammo_jax.preprocess import to_record
from mammo_jax.run_folder import RunFolder
from mammo_jax.saliency.stage import SaliencyError

pytestmark = pytest.mark.usefixtures("without_processes")


def write_frames(folder, count):
    """Bright on one side, so that a search for the breast would cut and mirror them."""
    (folder / "images").mkdir()
    rows = [["path", "patient_id", "label", "laterality"]]
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 60, (64, 64)).astype(np.uint8)
        pixels[:, 32:] += 150
        (folder / "images" / f"{number}.png").write_bytes(imagecodecs.png_encode(pixels))
        rows.append(
            [f"images/{number}.png", f"P{number // 2}", ("benign", "malignant")[number // 2 % 2], "LR"[number % 2]]
        )
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


def test_a_folder_of_frames_is_compressed_and_kept_as_it_is(tmp_path):
    write_frames(tmp_path, 8)
    flags = ["--source", "folder", "--source-dir", str(tmp_path / "labels.csv"), "--plain-ids", "--unit", "frame"]
    flags += ["--input-rows", "64", "--input-columns", "64", "--ratios", "10", "30", "--folds", "2", "--workers", "1"]
    run = RunFolder(tmp_path / "run")
    prepare.main([*flags, "--pretrained", "none", "--out", str(run.path)])
    audit = pd.read_csv(run.audit)
    assert (audit["codestream_bytes"] == 4096 // audit["ratio"]).all()
    for of_breast, of_all in (
        ("bits_per_breast_pixel", "bits_per_pixel"),
        ("psnr_breast", "psnr"),
        ("ssim_breast", "ssim"),
    ):
        pd.testing.assert_series_equal(audit[of_breast], audit[of_all], check_names=False)
    examples = read_examples(run.readable_parts(), 1.0, masks=True)
    assert len(examples) == 8
    for index, image_id in enumerate(examples.image_ids):
        pixels = imagecodecs.png_decode((tmp_path / f"{image_id.replace('_', '/')}.png").read_bytes())
        np.testing.assert_array_equal(examples.images[index, ..., 0], to_record(pixels, 8))
    assert (examples.breasts == 255).all()
    assert examples.targets.sum() == 4
    config = parse([*flags, "--out", str(run.path)])
    with pytest.raises(SaliencyError, match="no positive image has a lesion mark"):
        _check_marks(config, examples)


def test_real_masses_reach_every_ratio_of_their_preset(tmp_path):
    shared = os.environ.get("MAMMO_SHARED_DATA")
    if not shared:
        pytest.skip("MAMMO_SHARED_DATA is not set")
    regions = Path(shared) / "cbis-ddsm-mass-roi"
    flags = ["--source", "cbis_roi", "--source-dir", str(regions)]
    source = prepare.open_source(parse(flags))
    assert (len(source), len(set(source.patients()))) == (1319, 691)
    assert [source.labels().count(label) for label in ("normal", "benign", "malignant")] == [0, 682, 637]
    header, *rows = (regions / "labels.csv").read_text().splitlines()
    chosen = [row for label in ("benign", "malignant") for row in [row for row in rows if f",{label}," in row][:8:2]]
    (tmp_path / "labels.csv").write_text("\n".join([header, *chosen]))
    (tmp_path / "images").symlink_to(regions / "images")
    run = RunFolder(tmp_path / "run")
    flags = ["--source", "cbis_roi", "--source-dir", str(tmp_path), "--pretrained", "none", "--folds", "2"]
    prepare.main([*flags, "--workers", "1", "--out", str(run.path)])
    audit = pd.read_csv(run.audit)
    assert len(audit) == 6 * len(chosen)
    assert audit["codestream_bytes"].unique().tolist() == [1092, 819, 655, 327, 163, 109]
    assert (audit.groupby("ratio")["psnr"].median().diff().dropna() < 0).all()
