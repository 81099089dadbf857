"""The report's saliency section, from a synthetic summary."""

import json
import re

import pytest
from html_page import Page
from synthetic_run import write_run
from synthetic_saliency import write_saliency

from mammo_jax.report import ReportError, build_report
from mammo_jax.run_folder import RunFolder
from mammo_jax.saliency.methods import TITLES
from mammo_jax.statistics.evaluation import SCHEMA as METRICS_SCHEMA


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    run = write_run(tmp_path_factory.mktemp("report") / "run")
    summary = write_saliency(run)
    return run, summary, Page(build_report(RunFolder(run)).read_text(encoding="utf-8"))


def joined(text):
    """Remove the blanks that a tag leaves before punctuation."""
    return re.sub(r" ([,;.])", r"\1", text)


def test_the_section_counts_images_and_says_that_they_are_few(built):
    text = built[2].text
    counts = (
        "24 held-out positive images of 12 patients have a marked lesion. Uncompressed, 18 of them are classified as"
    )
    assert f"{counts} positive" in text
    assert "Few patients. 12 patients with a marked lesion are few" in text
    assert f"Method: {TITLES['ig_blurred']}, chosen before the run" in text


def test_a_method_that_does_not_pass_is_named(built):
    _, summary, page = built
    passed = {row["method"]: row["passed"] for row in summary["sanity"]}
    assert passed == {method: method != "grad_cam" for method in passed}
    assert "Failed the sanity check: Grad-CAM." in page.text
    table = page.text[
        page.text.index("All methods, uncompressed") : page.text.index("A method passes the sanity check")
    ]
    assert re.search(r" Grad-CAM (\S+ \(\S+\) ){7}no", table)
    assert len(re.findall(r"\) yes ", table)) == 4


def test_results_are_also_given_without_images_whose_lesion_has_few_positions(built):
    _, summary, page = built
    assert summary["positions"]["few"] == 6
    assert summary["positions"]["few_below"] == 20
    assert "6 of 24 images have fewer than 20 positions" in page.text
    for measure, title in (("energy", "energy inside the lesion"), ("pointing_game", "pointing game")):
        figures = {}
        for group in ("all", "many_places"):
            (row,) = (
                row
                for row in summary["localization"]
                if (row["model"], row["ratio"], row["method"], row["group"], row["measure"])
                == ("trained", 1.0, "ig_blurred", group, measure)
            )
            figures[group] = row["difference"]["mean"]
        assert row["images"] == 18
        assert figures["all"] == pytest.approx(figures["many_places"] * 18 / 24)
        without, everyone = figures["many_places"], figures["all"]
        pattern = rf"{title} less chance \+{without:.2f} \(\S+ to \S+\), with them \+{everyone:.2f}"
        assert re.search(pattern, joined(page.text))


def test_the_primary_measure_is_named_and_all_measures_are_compared_with_the_plain_image(built):
    text = joined(built[2].text)
    assert "Primary measure: energy inside the lesion, chosen before the run; the others are secondary." in text
    sentence = text[text.index("Compared with the plain intensity map") :]
    sentence = sentence[: sentence.index(" Uncompressed:")]
    pattern = r".* are better in (.*); worse in (.*); neither shown better nor worse in (.*)\.$"
    better, worse, neither = re.match(pattern, sentence).groups()
    for title in ("pointing game", "energy", "IoU at the lesion's area", "Dice at the lesion's area"):
        assert re.search(rf"{title}.* \+0\.[23]\d \(", better)
    assert re.match(r"IoU at Otsu's threshold −0\.[23]\d \(", worse)
    assert re.match(r"AUPRC of pixels [+−]?0\.0\d \(", neither)


def test_figures_panels_and_the_warning_are_there(built):
    page = built[2]
    images = page.attributes("img")
    assert sum("with the map as overlay" in image["alt"] for image in images) == 11
    described = [svg["aria-label"] for svg in page.attributes("svg") if "at 11000" in svg.get("aria-label", "")]
    (energy,) = [
        text for text in described if text.startswith("Energy inside the lesion against the compression ratio")
    ]
    assert "Chance: the lesion elsewhere in the breast: 0.30 at 1" in energy
    (drift,) = [text for text in described if text.startswith("Spearman's rank correlation with the map at CR 1")]
    assert "The same model at this ratio: 1.00 at 1, " in drift
    assert "Level of random weights, CR 1: " in drift
    for name in ("localization_energy", "drift_ssim", "insertion"):
        assert (built[0] / "figures" / f"{name}.csv").read_text().count("\n") > 10
    assert "Masking resembles compression." in page.text
    assert "Turquoise: the lesion's outline" in page.text


def test_numbers_of_the_summary_are_in_the_tables(built):
    _, summary, page = built
    (own,) = (
        row
        for row in summary["localization"]
        if (row["model"], row["ratio"], row["method"], row["group"], row["measure"])
        == ("trained", 1.0, "ig_blurred", "all", "energy")
    )
    value = own["value"]
    assert f"energy inside the lesion {value['mean']:.2f} ({value['low']:.2f}–{value['high']:.2f}) 0.30" in page.text
    assert "1 of 24 0.001 0.001 64 64" in page.text
    assert summary["completeness"][0]["flagged"] in (0, 1)


def test_without_a_second_seed_the_report_says_so(tmp_path):
    run = write_run(tmp_path / "run")
    summary = write_saliency(run, floor=False)
    assert {row["passed"] for row in summary["sanity"]} == {None}
    text = Page(build_report(RunFolder(run)).read_text()).text
    assert "No second seed. The study has one training seed" in text
    assert "cannot tell" in text
    assert "Failed the sanity check" not in text


def test_the_report_says_whether_the_control_memorised_its_labels(built, tmp_path):
    text = built[2].text
    assert "reach an AUROC of 0.990 or more with these labels: they have memorised them." in text
    assert "Weak control" not in text
    run = write_run(tmp_path / "run")
    summary = write_saliency(run, label_auroc=0.62)
    assert summary["permuted_labels"] == {"training_aurocs": [1.0, 0.62, 1.0], "least": 0.62, "learnt": False}
    text = Page(build_report(RunFolder(run)).read_text()).text
    assert "reach an AUROC of 0.620 or more with these labels, less than 0.95." in text
    assert "Weak control. The models with permuted labels did not memorise their labels" in text


def test_a_damaged_or_older_summary_is_refused(built, tmp_path):
    run = write_run(tmp_path / "run")
    write_saliency(run)
    path = run / "saliency" / "summary.json"
    path.write_text(json.dumps({"schema": METRICS_SCHEMA}))
    with pytest.raises(ReportError, match=r"summary\.json: field schema is not .* run mammo-jax saliency again"):
        build_report(RunFolder(run))
    path.write_text("{")
    with pytest.raises(ReportError, match=r"summary\.json: not readable JSON"):
        build_report(RunFolder(run))
