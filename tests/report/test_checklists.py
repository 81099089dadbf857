"""CLAIM, STARD-AI and TRIPOD+AI: filled from the run's facts, kept where the authors wrote."""

import csv
import io
import json
from collections import Counter

import pytest
from html_page import Page
from synthetic_run import write_run

from mammo_jax.jobs.config import PhantomConfig, StudyConfig
from mammo_jax.jobs.study_run import as_json
from mammo_jax.report import ReportError, build_report
from mammo_jax.report.checklists import (
    AUTHORS,
    FILLED,
    GUIDELINES,
    IN_PART,
    NONE,
    filled_item,
    filled_items,
    named_facts,
    read_items,
)
from mammo_jax.report.result_facts import result_facts
from mammo_jax.report.run_facts import METHODS, methods_paragraph, run_facts
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.protocol import used_protocol

ITEMS = {"CLAIM": 44, "STARD-AI": 48, "TRIPOD+AI": 52}


@pytest.fixture(scope="module")
def phantom_run(tmp_path_factory):
    """A run of the default source, with every file that a study leaves."""
    path = write_run(tmp_path_factory.mktemp("phantom") / "run")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"config": as_json(StudyConfig())}))
    return path


def facts_of(path, **changes):
    known = metrics_of(path) | {"scored": "drawn phantoms", "predictions_sha256": "f00d" * 16} | changes
    images = "beef" * 16
    protocol = {
        "document": used_protocol(known, "test set", images).document(),
        "source_sha256": images,
        "by_run": False,
    }
    return run_facts(RunFolder(path), known | {"protocol": protocol})


def metrics_of(path):
    return json.loads((path / "metrics.json").read_text())


def read_rows(path):
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def test_every_item_of_the_three_guidelines_is_there_once():
    items = read_items()
    assert Counter(item["guideline"] for item in items) == ITEMS
    assert set(ITEMS) == set(GUIDELINES)
    assert len({(item["guideline"], item["item"]) for item in items}) == len(items)
    numbers = {name: {item["item"].rstrip("abcdefg") for item in items if item["guideline"] == name} for name in ITEMS}
    assert numbers == {name: {str(n + 1) for n in range(last)} for name, last in zip(ITEMS, (44, 40, 27))}
    for item in items:
        assert item["topic"]
        assert item["answer"] or item["missing"], "an item that neither the run nor the authors answer"


def test_a_study_fills_what_it_can_know(phantom_run):
    """At least 90 % of the applicable items but those that only people can answer, such as funding."""
    facts = facts_of(phantom_run)
    rows = filled_items(facts, {})
    applicable = [row for row in rows if row["status"] != NONE]
    people = [item for item in read_items() if not item["answer"]]
    answered = [row for row in applicable if row["status"] in (FILLED, IN_PART)]
    assert len(people) <= 11
    assert len(answered) >= 0.9 * (len(applicable) - len(people))
    for name in ITEMS:
        own = [row for row in applicable if row["guideline"] == name]
        assert sum(row["status"] in (FILLED, IN_PART) for row in own) >= 0.85 * len(own)
    assert all(row["from_the_run"] for row in answered)
    assert not [row for row in rows if "{" in row["from_the_run"] or "{" in row["for_the_authors"]]
    unused = set(facts) - {name for item in read_items() for name in named_facts(item)} - set(METHODS) - {"data_access"}
    assert not unused


def other_settings():
    """Return settings of which none that the facts speak of is that of the default study."""
    settings = as_json(StudyConfig(source="hybrid", ratios=(15.0, 30.0), folds=3, seeds=(4, 5), fold_seed=7))
    settings["phantom"] |= {"plantings": 9, "contrast": 0.5, "phantom_seed": 8, "images": 16, "rows": 900}
    settings["units"] |= {"patch_mm": 20.0, "input_rows": 96, "input_columns": 96, "normals_per_lesion": 6}
    settings["units"]["target"] = "malignant"
    settings["training"] |= {
        "model": "resnet18",
        "patience": 3,
        "epochs": 5,
        "validation_parts": 4,
        "filters": [9, 9, 9],
    }
    return settings


OTHER = {"config": other_settings(), "sha256": "bad" * 21, "command": "mammo-jax study --out elsewhere"}


def test_each_filled_item_speaks_of_this_run(phantom_run, tmp_path):
    """Two runs that differ in everything: no item that is filled from facts says the same of both."""
    other = write_run(tmp_path / "other", seeds=2, resamples=150)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | OTHER))
    (other / "left_out.csv").unlink()
    log = (other / "log.jsonl").read_text().replace("0123abcd", "4567cdef").replace("deadbeef", "beefdead")
    (other / "log.jsonl").write_text(log)
    (other / "saliency").mkdir()
    (other / "saliency" / "summary.json").write_text("{}")
    metrics = metrics_of(phantom_run)
    changed = {"margin": 0.1, "alpha": 0.05, "primary_model": "net", "resamples": 150, "seed": 3, "target": "mass"}
    changed |= {"minimum_positive_patients": 30, "scored": "others", "predictions_sha256": "abba" * 16}
    model = metrics["models"][0] | {"name": "net", "seeds": [4, 5], "results": metrics["models"][0]["results"][:12]}
    model["counts"] = model["counts"] | {"patients": 99, "images": 101, "positive_images": 7, "prevalence": 0.07}
    model["counts"]["folds"] = model["counts"]["folds"][:3]
    model["results"][0]["auroc"] |= {"by_seed_and_fold": [[0.5, 0.6]], "mean": 0.55}
    model["results"][0]["auprc"]["low"] = 0.4
    model["operating_point"]["results"] = model["operating_point"]["results"][:3]
    model["operating_point"]["place"] = "at the threshold 3"
    ours, theirs = facts_of(phantom_run), facts_of(other, **changed, sentence="No.", models=[model])
    # What others published, and what is so for every drawn lesion.
    fixed = {"retention", "annotators", "interval", "reference_reason"}
    assert [name for name in ours if name in theirs and name not in fixed and ours[name] == theirs[name]] == []
    rows = zip(filled_items(ours, {}), filled_items(theirs, {}))
    same = [(a["guideline"], a["item"]) for a, b in rows if a["status"] in (FILLED, IN_PART) and a == b]
    only_fixed = {
        (item["guideline"], item["item"])
        for item in read_items()
        if named_facts(item) and set(named_facts(item)) <= fixed
    }
    assert set(same) <= only_fixed


def test_one_changed_setting_changes_its_items(phantom_run, tmp_path):
    config = json.loads((phantom_run / "config.json").read_text())
    settings = as_json(StudyConfig(phantom=PhantomConfig(images=64)))
    (tmp_path / "config.json").write_text(json.dumps(config | {"config": settings}))
    before, after = (run_facts(RunFolder(path), metrics_of(phantom_run)) for path in (phantom_run, tmp_path))
    item = next(item for item in read_items() if (item["guideline"], item["item"]) == ("CLAIM", "7"))
    assert filled_item(item, before)["from_the_run"].startswith("640 phantom mammograms")
    assert filled_item(item, after)["from_the_run"].startswith("64 phantom mammograms")


def test_scores_from_outside_leave_the_training_to_the_authors(tmp_path, phantom_run):
    facts = run_facts(RunFolder(tmp_path), metrics_of(phantom_run))
    rows = {(row["guideline"], row["item"]): row for row in filled_items(facts, {})}
    asked = [row for row in rows.values() if row["status"] in (IN_PART, AUTHORS)]
    assert all(row["for_the_authors"] for row in asked)
    assert rows["CLAIM", "25"]["status"] == AUTHORS
    assert rows["CLAIM", "25"]["for_the_authors"] == "how the model was trained"
    assert rows["CLAIM", "29"]["status"] == FILLED
    assert rows["STARD-AI", "6"]["for_the_authors"].startswith("the ethics committee's approval")


def test_the_facts_name_the_pooling_at_every_level_and_the_interval_of_auprc(phantom_run):
    metrics = metrics_of(phantom_run)
    said = {}
    for level, pooling in (("image", "max"), ("breast", "mean"), ("woman", "max")):
        levels = metrics["analysis_levels"] | {"primary": level, "noun": level, "pooling": pooling}
        said[level] = result_facts(metrics | {"analysis_levels": levels})
    assert "per image, each" in said["image"]["measures"]
    assert "per breast (the mean over its images), each" in said["breast"]["measures"]
    assert "per woman (the maximum over her images), each" in said["woman"]["measures"]
    assert "AUPRC's is that of the population's value: from the jackknife" in said["image"]["uncertainty"]
    assert "AUPRC (95 % interval of the population's value)" in said["image"]["more_results"]


def test_methods_can_be_pasted(phantom_run):
    text = methods_paragraph(facts_of(phantom_run))
    for part in ("640 phantom mammograms", "squares of 36 mm", "adamw", "BCa", "0123abcd", "above −0.05"):
        assert part in text
    assert "\n" not in text


def test_the_report_has_the_tables_folded_and_keeps_what_authors_wrote(run, page, tmp_path):
    assert "CLAIM, update of 2024: " in page.text
    assert page.text.index("A paragraph on methods") < page.text.rindex("Reporting guidelines")
    rows = read_rows(RunFolder(run).checklist)
    assert len(rows) == sum(ITEMS.values())
    copied = write_run(tmp_path / "run")
    words = "The Ministry of Health; it had no say, and <b>no</b> data."
    rows[43]["authors"] = words
    with RunFolder(copied).checklist.open("w", encoding="utf-8", newline="") as stream:  # as a spreadsheet saves it
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for _ in range(2):
        text = Page(build_report(RunFolder(copied)).read_text()).text
        assert f"44 Funding – {words}" in text
    assert [row["item"] for row in read_rows(RunFolder(copied).checklist) if row["authors"]] == ["44"]


@pytest.mark.parametrize("content", [b"guideline;item;authors\nCLAIM;44;us\n", b"", b"\xff\xfe\x00", b'a,"b\n'])
def test_a_damaged_checklist_is_not_overwritten(content, tmp_path, phantom_run):
    (tmp_path / "metrics.json").write_text((phantom_run / "metrics.json").read_text())
    (tmp_path / "checklist.csv").write_bytes(content)
    with pytest.raises(ReportError, match=r"checklist\.csv: .*or move it away"):
        build_report(RunFolder(tmp_path))
    assert (tmp_path / "checklist.csv").read_bytes() == content
