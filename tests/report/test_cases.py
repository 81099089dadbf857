"""Which cases the report shows, and what it says of them."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mammo_jax.dataset.records import RecordWriter
from mammo_jax.dataset.stored_pictures import read_pictures
from mammo_jax.report.case_pictures import CaseRecord, saliency_overlays, stored_pictures
from mammo_jax.report.cases import MAX_LOST, cases_section, choose_cases
from mammo_jax.report.sections import exact_bytes
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.predictions import write_predictions

RATIOS = (1.0, 15.0, 500.0)
SIDE = 40
LOST, KEPT, FALSE = "a.lesion0", "b.lesion0", "c.normal0"
SCORES = {LOST: (2.0, 1.5, -1.0), KEPT: (3.0, 3.0, 3.0), FALSE: (1.2, 0.2, 0.1), "d.normal0": (-1.0, -1.0, -1.0)}


def predictions() -> pd.DataFrame:
    rows = [
        {
            "model": "cnn", "train_ratio": "1", "test_ratio": ratio, "fold": index % 2, "seed": 0,
            "patient_id": image_id[0], "image_id": image_id, "label": int("lesion" in image_id), "score": score,
        }
        for index, (image_id, scores) in enumerate(SCORES.items())
        for ratio, score in zip(RATIOS, scores)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("cases"))
    write_predictions(run.predictions, predictions())
    part = run.dataset_part(0)
    part.path.mkdir(parents=True)
    writer = RecordWriter(part.path, RATIOS, SIDE, SIDE)
    for index, image_id in enumerate(SCORES):
        mask = np.zeros((SIDE, SIDE, 1), np.uint8)
        mask[10:20, 12:20] = 255 * ("lesion" in image_id)
        pixels = np.full((SIDE, SIDE, 1), 20000, np.uint16)
        pixels[5:30, 5:30] += 9000
        record = {
            "mask": mask, "breast": np.full_like(mask, 255), "label": 2 * int("lesion" in image_id),
            "target": int("lesion" in image_id), "fold": index % 2, "image_id": image_id, "patient_id": image_id[0],
            "laterality": "L", "codestream_bytes": 100, "psnr": 40.0,
        }  # fmt: skip
        images = {f"ratio_{ratio:g}": [record | {"image": pixels - np.uint16(10 * ratio)}] for ratio in RATIOS}
        writer.add(images)
    writer.close()
    columns = {"codec": "x", "padding_bytes": 0, "ratio_stored": 1.0, "bits_per_pixel": 1.0, "psnr": 40.0, "ssim": 0.9}
    columns |= {"bits_per_breast_pixel": 1.0, "psnr_breast": 40.0, "ssim_breast": 0.9}
    size = {"target_bytes": 6, "codestream_bytes": 6, "ratio_allocated": 3200 / 6}
    rows = [columns | size | {"image_id": image_id[0], "ratio": 500.0} for image_id in SCORES]
    pd.DataFrame(rows).to_csv(run.audit, index=False)
    return run


def metrics(**more) -> dict:
    point = {"thresholds": [[1.0, 1.0]]}
    counts = {"folds": [{"fold": 0}, {"fold": 1}]}
    model = {"name": "cnn", "seeds": [0], "operating_point": point, "counts": counts} | more
    return {"primary_model": "cnn", "models": [model]}


def test_lost_come_first_then_kept_then_false_positives():
    cases = choose_cases(predictions(), {0: 1.0, 1: 1.0})
    assert [(case.image_id, case.kind) for case in cases] == [
        (LOST, "positive, lost at CR 500"),
        (KEPT, "positive, recalled at every ratio"),
        (FALSE, "negative, recalled uncompressed"),
    ]
    assert cases[0].scores == dict(zip(RATIOS, SCORES[LOST]))
    other = choose_cases(predictions(), {0: 1.8, 1: 5.0})
    assert [(case.image_id, case.kind) for case in other] == [(LOST, "positive, lost at CR 15")]


def test_one_image_a_patient_and_no_more_than_said():
    many = pd.concat(
        predictions().query("image_id == @LOST").assign(image_id=f"{patient}.{image}", patient_id=patient)
        for patient in ("p", "q", "r", "s", "t", "u")
        for image in range(2)
    )
    cases = choose_cases(many, {0: 1.0, 1: 1.0})
    assert [case.image_id for case in cases] == ["p.0", "q.0", "r.0", "s.0"]
    assert len(cases) == MAX_LOST


def test_without_uncompressed_scores_there_are_no_cases():
    assert choose_cases(predictions().query("test_ratio > 1"), {0: 1.0, 1: 1.0}) == []


def test_pictures_are_those_of_the_dataset_in_one_window(run):
    found = read_pictures(run.readable_parts(), {500.0: {LOST}, 20.0: {LOST}})
    assert list(found) == [500.0], "the dataset has no ratio 20"
    found = found[500.0]
    assert list(found) == [LOST]
    assert found[LOST].image[0, 0] == 20000 - 5000
    assert found[LOST].mask.sum() == 80
    record = stored_pictures(run.readable_parts(), {LOST: RATIOS, "gone": RATIOS})[LOST]
    first, *_, last = (np.asarray(Image.open(io.BytesIO(png))) for png in record.pictures.values())
    assert (first[0, 0], first[10, 10]) == (0, 255)
    assert last[10, 10] == round(255 * 4010 / 9000), "the grey levels of the uncompressed image"
    outline = np.asarray(Image.open(io.BytesIO(record.outline)))[..., 3]
    assert outline[9, 15] == 255
    assert outline[15, 15] == 0


def test_a_case_says_score_threshold_and_exact_bytes(run):
    section, refused = cases_section(run, metrics())
    assert refused == []
    case = section["cases"][0]
    assert case["title"] == f"{LOST}: malignant, positive, lost at CR 500"
    assert [picture["name"] for picture in case["pictures"]] == ["uncompressed", "CR 15", "CR 500"]
    facts = case["pictures"][2]["facts"]
    assert facts == (
        "score −1.000, below the threshold of 1.000: not recalled; "
        "the image's file has 6 bytes, exactly ⌊3\u202f200 ÷ 500⌋"
    )
    assert "first positive images that are recalled uncompressed and lost at the lowest ratio" in section["rule"]


def test_without_a_threshold_or_pictures_there_is_no_section(run, tmp_path):
    assert cases_section(run, metrics(operating_point=None)) == (None, [])
    assert cases_section(RunFolder(tmp_path), metrics()) == (None, [])


def test_maps_have_one_scale_for_all_ratios(tmp_path):
    run = RunFolder(tmp_path)
    run.saliency.path.mkdir()
    run.saliency.summary.write_text(json.dumps({"primary": "ig"}))
    values = np.zeros((1, SIDE, SIDE))
    values[0, 20, 20] = 1
    for ratio, strength in ((1.0, 1.0), (500.0, 0.01)):
        path = run.saliency.maps(ratio, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"image_ids": np.array([LOST]), "images": np.zeros_like(values), "lesions": values > 0}
        np.savez(path, **arrays, ig=values, ig_scale=np.float32([strength]))
    window = (slice(0, SIDE), slice(0, SIDE))
    record = CaseRecord(2, window, dict.fromkeys(RATIOS, b""), b"")
    maps = saliency_overlays(run, {LOST: 1}, {LOST: record})[LOST]
    assert list(maps) == [1.0, 500.0]
    opacity = [np.asarray(Image.open(io.BytesIO(png)))[20, 20, 3] for png in maps.values()]
    assert opacity[0] > opacity[1] > 0


def test_bytes_beside_their_target():
    row = {"codestream_bytes": 425, "target_bytes": 425, "ratio_allocated": 4259840 / 425, "ratio": 10000.0}
    assert exact_bytes(row) == "425 bytes, exactly ⌊4\u202f259\u202f840 ÷ 10000⌋"
    assert exact_bytes(row | {"target_bytes": 426}) == "425 bytes, not ⌊4\u202f259\u202f840 ÷ 10000⌋ = 426"
