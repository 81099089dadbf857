import base64
import hashlib
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from html_page import Page
from prediction_tables import predictions_table, transfer_losses
from synthetic_run import COMMAND, HOSTILE, metrics, png, write_run

from mammo_jax.report import ReportError, build_report, sections
from mammo_jax.report.texts import display_signed
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.evaluation import evaluate


def test_page_needs_no_other_file_and_no_network(run, page):
    sources = [attributes["src"] for attributes in page.attributes("img")]
    assert len(sources) == 2 * 11
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    for tag in ("link", "iframe", "object"):
        assert not page.attributes(tag)
    html = (run / "report.html").read_text()
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    policy = next(a["content"] for a in page.attributes("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.endswith(f"script-src 'sha256-{digest}'"), "only the page's own script may run"


def test_images_have_descriptions_and_tables_have_captions(page):
    assert all(len(attributes["alt"]) > 10 for attributes in page.attributes("img"))
    drawings = [svg for svg in page.attributes("svg") if svg.get("role") == "img"]
    assert len(drawings) == len(page.attributes("figure")) - 2 * 11 == 5
    assert all(len(svg["aria-label"]) > 50 for svg in drawings)
    assert len(page.attributes("table")) == len(page.attributes("caption")) == 14
    assert page.attributes("html")[0]["lang"] == "en"
    assert any(attributes.get("name") == "viewport" for attributes in page.attributes("meta"))


def test_the_verdict_comes_first_with_its_meaning_and_limits(run, page):
    assert json.loads((run / "metrics.json").read_text())["verdict"]["ratio"] == 100
    sentence = page.text.index("Up to a compression ratio of 100, a model trained on uncompressed images keeps")
    assert page.text.index("CR 500 would pass by AUROC, but at the threshold of 90 % sensitivity, ") > sentence
    storage = page.text.index("26.2 kB instead of 2.62 MB on average, and 1 TB of uncompressed images becomes 10 GB")
    assert page.text.index("prohibiting lossy compression of digital mammograms for primary interpretation") > storage
    harm = page.text.index(
        "Harm. At the threshold of 90 % sensitivity: at CR 100, which passed, sensitivity changes by "
    )
    assert "; at CR 500, the break, sensitivity changes by −5.3 points (−10.2 to −0.2)" in page.text[harm : harm + 400]
    demonstration = page.text.index("Demonstration. Each model was trained with one seed only")
    device = page.text.index("not a medical device")
    assert sentence < demonstration < device < page.text.index("Result: cnn") < storage < harm


def test_sections_are_in_the_order_of_the_contents(run, page):
    ids = [attributes["href"].removeprefix("#") for attributes in page.attributes("a")]
    there = [a["id"] for name, a in page.tags if name == "section" and "id" in a]
    assert ids == there
    assert ids.index("meaning") < ids.index("look") < ids.index("numbers") < ids.index("methods") < ids.index("audit")
    html = (run / "report.html").read_text()
    assert html.index("<details>\n<summary>Configuration") > html.index('id="provenance"')


def test_numbers_of_the_metrics_are_in_the_tables(run, page):
    (model,) = json.loads((run / "metrics.json").read_text())["models"]
    for result in model["results"]:
        auroc, auprc = result["auroc"], result["auprc"]
        assert f"{auroc['mean']:.3f} ({auroc['low']:.3f}–{auroc['high']:.3f})" in page.text
        population = f"population {auprc['corrected']:.3f}, {auprc['low']:.3f}–{auprc['high']:.3f}"
        assert f"{auprc['mean']:.3f} ({population})" in page.text
    for kind in ("transfer", "matched"):
        for step in model["verdicts"][kind]["steps"]:
            assert f"{display_signed(step['difference'])} {display_signed(step['lower_bound'])}" in page.text
    assert page.text.count("0.87 / 0.75 up to CR 5000 and of 0.79 / 0.49 at CR 10 000") == 1, "once, not on every row"
    assert [a.get("class") for a in page.attributes("tr")].count("chosen") == 2, "a ratio and an analysis level"


def test_audit_counts_exact_and_padded_images(page):
    audit = page.text[page.text.index("Audit of 5 images, compressed by a codec") :]
    row = re.search(
        r" 15 4 of 5 175 kB on average 15\.00 11\.25 (\S+) (\S+) (\S+) 0\.900 1\.1 2\.7 1 100 bytes 20 ", audit
    )
    assert row is not None
    log = np.log(15)
    assert row.groups() == (f"{60 - 4 * log + 0.2:.2f}", f"{55 - 4 * log:.2f}", f"{1 - 0.02 * log:.3f}")
    assert audit.count("5 of 5") == 9
    assert "26 214 bytes, exactly ⌊2 621 440 ÷ 100⌋" in audit
    assert "12 images were left out" in audit
    assert "NA9: is bad" in audit
    assert "and 2 more in left_out.csv" in audit


def test_folds_settings_versions_and_command(page):
    for text in (
        "fold normal benign malignant 0 4 2 2",
        "mammo-jax study --source-dir DIR/images.csv --out=DIR/synthetic",
        "source_dir DIR/images.csv",
        "c0ffeec0ffee",
        "deadbeefdeadbeef",
        f"SHA-256 of the pretrained weights {'feedface' * 8} Git revision",
        "Git revision of mammo-jax prepare older Git revision of mammo-jax study 0123abcd Python 3.11.2 Packages",
        "jax 0.10.2, numpy 2.4",
        "training.rate 0.001",
        "training.seed not set",
        "Damaged lines of log.jsonl 1",
    ):
        assert text in page.text
    assert "Not in this report" not in page.text


def test_folders_are_named_only_with_plain_ids(run, tmp_path):
    assert "Jane Doe" not in (run / "report.html").read_text()
    shutil.copytree(run, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["config"]["folder"] = {"plain_ids": True}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    page = Page(build_report(RunFolder(tmp_path / "run")).read_text())
    assert COMMAND in page.text
    assert "source_dir /data/Jane Doe/images.csv" in page.text


def test_reasons_of_a_run_that_did_not_separate_file_names_are_only_counted(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    left_out = pd.read_csv(run / "left_out.csv").drop(columns=["image_id", "problem"])
    left_out.to_csv(tmp_path / "run" / "left_out.csv", index=False)
    page = Page(build_report(RunFolder(tmp_path / "run")).read_text())
    assert "12 images were left out left_out.csv says which, and why" in page.text
    assert "Jane Doe" not in page.text


def test_images_that_were_lossy_before_are_reported(run, tmp_path):
    assert sections.lossy_notice(RunFolder(run)) is None
    shutil.copytree(run, tmp_path / "run")
    images = pd.read_csv(run / "images.csv", dtype=str)
    images.assign(already_lossy=[True, True, True] + 37 * [False]).to_csv(tmp_path / "run" / "images.csv", index=False)
    page = Page(build_report(RunFolder(tmp_path / "run")).read_text())
    notice = "Not uncompressed. 3 of 40 images had been lossily compressed before; for them CR 1 is not uncompressed."
    assert page.text.index(notice) < page.text.index("Result: cnn")
    images.assign(already_lossy=False).to_csv(tmp_path / "run" / "images.csv", index=False)
    assert sections.lossy_notice(RunFolder(tmp_path / "run")) is None


def test_hash_of_the_predictions_is_that_of_the_file(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "predictions.parquet").write_bytes(b"the table")
    assert hashlib.sha256(b"the table").hexdigest() in build_report(RunFolder(tmp_path / "run")).read_text()


def test_html_in_ids_is_escaped(run, page):
    assert HOSTILE in page.text
    html = (run / "report.html").read_text()
    assert html.count("<script") == html.count('<script type="application/json" class="values">') + 1
    assert "<script>alert" not in html


def test_names_of_foreign_models_are_escaped(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(metrics(model="<img src=x onerror=alert(1)>")))
    page = Page(build_report(RunFolder(tmp_path)).read_text())
    assert "<img src=x onerror=alert(1)>" in page.text
    assert all("onerror" not in attributes for attributes in page.attributes("img"))


def test_a_report_from_predictions_only_lists_what_is_missing(tmp_path):
    losses = {1.0: 0.0, 15.0: 0.1, 30.0: 0.1}
    frozen = evaluate(predictions_table(transfer_losses(losses), folds=1), resamples=200, frozen=True)
    (tmp_path / "metrics.json").write_text(json.dumps(frozen | {"command": "mammo-jax evaluate --frozen"}))
    page = Page(build_report(RunFolder(tmp_path)).read_text())
    assert "Not in this report, because the run folder does not have it: the compression audit" in page.text
    assert "example crops" in page.text
    assert "Demonstration." not in page.text
    assert "mammo-jax evaluate --frozen" in page.text
    assert "Up to a compression ratio of 30, this model keeps its AUROC" in page.text
    assert "trained on uncompressed images" not in page.text
    assert "1 TB of uncompressed images becomes 33.3 GB" in page.text
    assert "Matched: trained and tested" not in page.text
    assert "Look at the images" not in page.text
    assert "Audit of the compression" not in page.text


def test_primary_model_comes_first_and_others_are_exploration(tmp_path):
    losses = transfer_losses({1.0: 0.0, 15.0: 0.1})
    both = pd.concat([predictions_table(losses, model="cnn"), predictions_table(losses, model="a resnet")])
    (tmp_path / "metrics.json").write_text(json.dumps(evaluate(both, resamples=100, primary_model="cnn")))
    page = Page(build_report(RunFolder(tmp_path)).read_text())
    assert page.text.index("Result: cnn") < page.text.index("Another model: a resnet")
    assert page.text.count("its results are exploratory") == 1


def test_three_seeds_show_the_null_and_mixed_training_is_listed(tmp_path):
    losses = {("1", 1.0): 0.0, ("1", 15.0): 0.1, ("15", 15.0): 0.1, ("mixed", 1.0): 0.1, ("mixed", 15.0): 0.1}
    three_seeds = evaluate(predictions_table(losses, seeds=3, seed_noise=0.2), resamples=200)
    (tmp_path / "metrics.json").write_text(json.dumps(three_seeds))
    page = Page(build_report(RunFolder(tmp_path)).read_text())
    null = three_seeds["models"][0]["seed_null"]
    assert f"by {null['mean_difference']:.3f} on average and by {null['largest_difference']:.3f} at most" in page.text
    assert "Other training ratios" in page.text
    described = [svg["aria-label"] for svg in page.attributes("svg") if svg.get("role") == "img"]
    assert "Mixed: trained on all ratios: " in described[0]
    assert sum("Trained on all ratios: " in text for text in described) == 1
    assert (tmp_path / "figures" / "matrix.png").read_bytes().startswith(b"\x89PNG")
    assert "Demonstration." not in page.text


def test_only_small_png_files_of_known_name_are_shown(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    examples = tmp_path / "run" / "examples"
    (examples / "no ratio.png").write_bytes(png())
    (examples / "text_15.png").write_text("<svg onload='alert(1)'>")
    (examples / "big_15.png").write_bytes(png() + bytes(1 << 20))
    for number in range(6):
        (examples / f"z{number}_15.png").write_bytes(png())
    page = Page(build_report(RunFolder(tmp_path / "run")).read_text())
    assert len(page.attributes("img")) == 2 * 11 + 4
    for name in ("no ratio.png", "text_15.png", "big_15.png", "z4_15.png", "z5_15.png"):
        assert name in page.text[page.text.index("Example files left out") :]


def test_empty_tables_are_missing_tables(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "left_out.csv").write_text("\n")
    (tmp_path / "run" / "audit.csv").write_text("image_id,ratio\n")
    page = Page(build_report(RunFolder(tmp_path / "run")).read_text())
    assert "images were left out" not in page.text
    assert "the compression audit (audit.csv)" in page.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.json", None, "no such file; mammo-jax study"),
        ("metrics.json", "{", "not readable JSON"),
        ("metrics.json", '{"schema": "mammo_jax metrics 0"}', "field schema"),
        ("audit.csv", "codec,image_id,ratio\nx,a,15\n", "column 'target_bytes' is missing"),
        ("folds.csv", "patient_id,fold\n000,1\n", "lacks patients"),
    ],
)
def test_damaged_files_are_named_and_the_old_report_stays(run, tmp_path, name, content, message):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "report.html").write_text("the old report")
    (tmp_path / "run" / name).unlink()
    if content is not None:
        (tmp_path / "run" / name).write_text(content)
    with pytest.raises(ReportError, match=message) as raised:
        build_report(RunFolder(tmp_path / "run"))
    assert name in str(raised.value)
    assert (tmp_path / "run" / "report.html").read_text() == "the old report"


def test_same_run_same_bytes(run, page, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    build_report(RunFolder(tmp_path / "run"))
    for name in ("report.html", "figures/auroc.svg", "figures/auroc.png", "figures/auprc.csv", "figures/roc.svg"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()


def test_an_auprc_without_interval_is_said_everywhere(tmp_path):
    reason = "there are 5 positive patients"
    run = write_run(tmp_path / "run", resamples=100)
    metrics = json.loads((run / "metrics.json").read_text())
    for result in metrics["models"][0]["results"]:
        result["auprc"] |= {"low": None, "high": None, "corrected": None, "no_interval": reason}
    (run / "metrics.json").write_text(json.dumps(metrics))
    page = build_report(RunFolder(run)).read_text()
    assert "AUPRC has no interval: there are 5 positive patients." in page
    assert "(no interval)" in (run / "checklist.csv").read_text()
