"""What the report shows of the verdict: levels of the test, analysis levels, secondary figures, operating point."""

import json
import re

from html_page import Page
from prediction_tables import predictions_table, transfer_losses
from synthetic_run import metrics

from mammo_jax.report import build_report
from mammo_jax.report.texts import display_p_value, display_signed
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.analysis_levels import AnalysisLevels, disagreement, outcome_text
from mammo_jax.statistics.evaluation import evaluate
from mammo_jax.statistics.operating_point import OperatingPoint
from mammo_jax.statistics.rule import Rule


def test_both_levels_and_the_margins_share_are_shown(run, page):
    (model,) = json.loads((run / "metrics.json").read_text())["models"]
    verdict = model["verdicts"]["transfer"]
    text = page.text.replace("\u202f", "").replace("\xa0", " ")
    assert "its lower bound, one-sided 97.5 % (95 %)" in text
    assert f"With 95 % confidence it would be CR {verdict['ratio_at_other_alpha']:.0f}." in text
    assert f"The margin is {100 * verdict['margin_share']:.0f} % of what the model has above chance." in text
    for step in verdict["steps"]:
        bounds = f"{display_signed(step['lower_bound'])} ({display_signed(step['lower_bound_at_other_alpha'])})"
        assert f"{bounds} {'yes' if step['passed'] else 'no'}" in text


def test_every_analysis_level_is_in_a_table_and_the_headline_is_about_the_primary_one(page, tmp_path):
    assert "primary its own 720 " in page.text
    assert "breast maximum not available: the predictions have no column 'breast'" in page.text
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1}), images_per_patient=4)
    found = evaluate(table, resamples=200, levels=AnalysisLevels("woman", scored="patch"))
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    text = Page(build_report(RunFolder(tmp_path)).read_text()).text
    assert "The verdict counts each woman. " in text
    assert "AUROC per woman. Bars: 95 % intervals." in text
    assert "AUPRC depends on prevalence (here 25 % per woman)" in text
    assert found["sentence"] in text
    for row in found["models"][0]["levels"]:
        if row["auroc"]:
            auroc = "{mean:.3f} ({low:.3f}–{high:.3f})".format(**row["auroc"])
            name = f"{row['noun']}{', primary' if row['primary'] else ''}"
            score = {None: "its own", "max": "maximum", "mean": "mean"}[row["pooling"]]
            numbers = f"{row['units']} {row['positive_units']} {auroc} {outcome_text(row['verdict'])}"
            assert f"{name} {score} {numbers}" in text


def test_levels_that_disagree_are_in_the_headline(run, tmp_path):
    found = metrics()
    rows = found["models"][0]["levels"]
    rows[3]["verdict"] = rows[3]["verdict"] | {"ratio": 15.0}
    sentence = disagreement(rows, "max")
    assert "up to CR 15 per woman" in sentence
    (tmp_path / "metrics.json").write_text(json.dumps(found | {"sentence": f"{found['sentence']} {sentence}"}))
    text = Page(build_report(RunFolder(tmp_path)).read_text()).text
    assert text[: text.rindex("Reporting guidelines")].count(sentence) == 2, (
        "in the headline and above the table of levels"
    )


def test_patches_are_said_to_be_no_women(tmp_path):
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1}))
    (tmp_path / "metrics.json").write_text(
        json.dumps(evaluate(table, resamples=200, levels=AnalysisLevels(scored="patch")))
    )
    text = Page(build_report(RunFolder(tmp_path)).read_text()).text
    assert "The verdict counts each patch, not each woman: this study scores patches at known places" in text
    assert "keeps its AUROC per patch within" in text


def test_secondary_figures_are_shown_apart_from_the_headline(run, page, tmp_path):
    model = json.loads((run / "metrics.json").read_text())["models"][0]
    assert page.text.index("The verdict does not rest on these.") > page.text.index("Verdicts Transfer")
    assert "which those of one woman are not: the interval is too narrow" in page.text
    for row in model["secondary"]:
        low, high = (display_signed(row["delong"][end]) for end in ("low", "high"))
        assert f"{display_p_value(row['p_value'])} {display_p_value(row['holm'])} " in page.text
        difference, p_value = display_signed(row["delong"]["difference"]), display_p_value(row["delong"]["p_value"])
        delong = f"{difference} ({low} to {high}) {p_value}"
        assert delong in page.text
    model["secondary"][0]["delong"] = None
    (tmp_path / "metrics.json").write_text(json.dumps(metrics() | {"models": [model]}))
    assert "a fold has a single image of a class" in Page(build_report(RunFolder(tmp_path)).read_text()).text


def test_the_operating_point_shows_rates_harm_and_the_cases(run, page, tmp_path):
    section = page.text[page.text.index("At the operating point") :].replace("\u202f", "").replace("\xa0", " ")
    (model,) = json.loads((run / "metrics.json").read_text())["models"]
    assert "at the threshold of 90 % sensitivity, found from the uncompressed test images" in section
    assert "A loss above 2.5 points (half the margin) whose 95 % interval excludes 0" in section
    assert "per 1000" not in section
    for row in model["operating_point"]["results"]:
        for name in ("sensitivity", "specificity"):
            value, low, high = (f"{100 * row[name][key]:.1f}" for key in ("value", "low", "high"))
            assert f"{value} ({low}–{high})" in section
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1}))
    table.loc[table["test_ratio"] == 15, "score"] -= 0.6
    found = evaluate(table, resamples=200, point=OperatingPoint(prevalence=0.006))
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    text = Page(build_report(RunFolder(tmp_path)).read_text()).text.replace("\xa0", " ")
    assert found["sentence"] in text
    assert "No ratio passed: CR 15 would pass by AUROC, but" in text
    row = found["models"][0]["operating_point"]["results"][1]
    rates = f"{row['recalls_per_1000']:.1f} {row['missed_per_1000']:.2f}"
    assert f"{rates} {len(row['lost'])} / {len(row['gained'])} sensitivity" in text
    assert "Per 1000 images, if 0.6 % are positive." in text
    assert f"CR 15: lost {row['lost'][0]['image_id']}, " in text
    assert f"and {len(row['lost']) - 10} more in metrics.json" in text


def test_without_a_verdict_no_ratio_passes(run, page, tmp_path):
    matched = page.text[page.text.index("Matched: trained and tested") :]
    assert matched.count(") no verdict ") == 10, "one seed"
    few = evaluate(predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1}), patients=160), resamples=200)
    (tmp_path / "metrics.json").write_text(json.dumps(few))
    text = Page(build_report(RunFolder(tmp_path)).read_text()).text
    assert re.search(r"Cannot tell .* it needs \d+ positive patients, and there are 40: \d+ more\.", text)
    assert ") no verdict " in text
    assert "it would be CR" not in text


def test_five_trainings_get_a_matched_verdict_and_their_analysis(page, tmp_path):
    assert "trainings as readers" not in page.text, "one seed"
    assert "Cannot tell how much compression a model trained and tested at the same ratio tolerates" in page.text
    cells = {("1", 1.0): 0.0, ("15", 15.0): 0.1, ("1", 15.0): 0.1}
    table = predictions_table(cells, seeds=5, seed_noise=0.1, patients=160)
    found = evaluate(table, resamples=200, rule=Rule(min_positive_patients=2, margin=0.2))
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    text = Page(build_report(RunFolder(tmp_path)).read_text()).text
    (model,) = found["models"]
    assert model["verdicts"]["matched"]["ratio"] == 15.0
    assert "what other training patients would change is not known." in text
    (row,) = model["matched_readers"]
    low, high = (display_signed(row[end]) for end in ("low", "high"))
    difference = f"15 {display_signed(row['value'])} ({low} to {high}) {row['standard_error']:.4f}"
    assert f"{difference} {row['degrees_of_freedom']:.1f} {row['interaction_mean_square']:.2e}" in text
    del model["matched_readers"]
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    assert "trainings as readers" not in Page(build_report(RunFolder(tmp_path)).read_text()).text


def test_a_lowered_number_of_patients_is_a_notice(page, tmp_path):
    notice = "A verdict was allowed from 30 positive patients up"
    assert notice not in page.text
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.1}))
    (tmp_path / "metrics.json").write_text(
        json.dumps(evaluate(table, resamples=200, rule=Rule(min_positive_patients=30)))
    )
    assert notice in Page(build_report(RunFolder(tmp_path)).read_text()).text
