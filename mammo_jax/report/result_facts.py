"""What a run's metrics and files say, in sentences for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammo_jax.ratios import ratio_text
from mammo_jax.report.sections import lossy_notice, read_table
from mammo_jax.run_folder import RunFolder
from mammo_jax.statistics.analysis_levels import POOLED
from mammo_jax.statistics.metrics import primary_model

Metrics = Mapping[str, Any]


def result_facts(metrics: Metrics) -> dict[str, str]:
    """Return sentences by name from metrics.json, about the primary model."""
    model = primary_model(metrics)
    facts = _question(metrics, model) | _rule(metrics, model) | _counts(metrics, model) | _results(metrics, model)
    return facts | (_operating(model["operating_point"]) if model["operating_point"] else {})


def _question(metrics: Metrics, model: Metrics) -> dict[str, str]:
    name, ratios = model["name"], _transfer(model)
    tested = ", ".join(ratio_text(result["test_ratio"]) for result in ratios if result["test_ratio"] > 1)
    margin, noun = metrics["margin"], metrics["analysis_levels"]["noun"]
    what = "one finished model" if metrics["frozen"] else f"networks from {counted(model['seeds'], 'training seed')}"
    facts = {
        "title": f"Draft: Diagnostic accuracy of a deep-learning classifier ({name}) of mammograms under lossy "
        f"compression: a non-inferiority study of the AUROC at {len(ratios) - 1} compression ratios.",
        "design": f"Retrospective comparison of {what} on the same stored images, uncompressed and at the compression "
        f"ratios {tested}; paired by image.",
        "question": f"Up to which compression ratio does {name} keep its AUROC per {noun} within {margin:g} of that on "
        "uncompressed images?",
        "hypothesis": f"At a ratio, the null hypothesis is a loss of AUROC of {margin:g} or more, tested one-sided at "
        f"{100 * metrics['alpha']:g} %.",
        "role": f"A research classifier ({name}), no medical device; what is judged is the compression before it.",
    }
    facts["output_kind"] = f"{name} gives one number for an image; a higher one is more positive."
    if "scored" in metrics:
        facts["scored"] = f"Scored: {metrics['scored']}."
    return facts


def _rule(metrics: Metrics, model: Metrics) -> dict[str, str]:
    level, pooling = metrics["analysis_levels"]["noun"], metrics["analysis_levels"]["pooling"]
    whose = {"woman": "her", "breast": "its"}.get(level)
    pooled = f" (the {POOLED[pooling]} over {whose} images)" if whose else ""
    sure, margin = f"{100 * (1 - metrics['alpha']):g} %", f"{metrics['margin']:g}"
    positive = model["counts"]["positive_patients"]
    return {
        "measures": f"AUROC and AUPRC (average precision) per {level}{pooled}, each the mean over the held-out folds, "
        f"then over {counted(model['seeds'], 'training seed')}; sensitivity and specificity at one threshold.",
        "uncertainty": f"Intervals ({100 * metrics['confidence']:g} %) are BCa, from {metrics['resamples']} bootstrap "
        f"resamples (seed {metrics['seed']}) of patients within folds, stratified by outcome, and of training seeds; "
        "the same resamples for every ratio. AUPRC's is that of the population's value: from the jackknife over "
        "patients within folds and outcomes, on the logit scale, with Student's t.",
        "verdict_rule": f"Fixed sequence from the lowest ratio up: a ratio passes if the one-sided {sure} lower bound "
        f"of AUROC(CR) − AUROC(1) is above −{margin}; a loss of sensitivity or specificity above "
        f"{100 * metrics['margin'] / 2:g} points whose interval excludes 0 forbids it.",
        "sample_size": f"A verdict needs at least {metrics['minimum_positive_patients']} positive patients and "
        f"{metrics['minimum_hit_patients'] / metrics['margin']:g} × (AUROC − 0.5), found by simulated studies; there "
        f"are {positive}. The study takes what its source has.",
        "clustering": f"The images of a patient stay together: in one fold of {len(model['counts']['folds'])}, and in "
        "every resample.",
        "robustness": f"Every result at {len(model['results'])} pairs of training and test ratio; the verdict at "
        f"{len(model['levels'])} analysis levels and at {100 * metrics['other_alpha']:g} % one-sided.",
    }


def _counts(metrics: Metrics, model: Metrics) -> dict[str, str]:
    counts = model["counts"]
    target = f" ({metrics['target']})" if metrics["target"] else ""
    sizes = [f"fold {fold['fold']}: {fold['patients']} ({fold['positive_patients']})" for fold in counts["folds"]]
    return {
        "fairness": f"These figures are about all {counts['patients']} patients together; groups of them are compared "
        "only where the report has subgroups.",
        "counts": f"{counts['images']} images of {counts['patients']} patients were scored; "
        f"{counts['positive_images']} images of {counts['positive_patients']} patients are positive{target}.",
        "folds": f"Patients in each held-out fold (of them positive): {', '.join(sizes)}.",
        "prevalence": f"{100 * counts['prevalence']:.1f} % of the images are positive: the share of this data set, not "
        "that of a screened population.",
        "missing": f"No score is missing: each ratio has the same {counts['images']} images, or the evaluation stops. "
        "Every score counts; none is called indeterminate.",
    }


def _results(metrics: Metrics, model: Metrics) -> dict[str, str]:
    areas = [f"CR {ratio_text(result['test_ratio'])}: {_area(result['auroc'])}" for result in _transfer(model)]
    precision = [f"CR {ratio_text(result['test_ratio'])}: {_precision(result['auprc'])}" for result in _transfer(model)]
    demonstration = "Demonstration with one training seed. " if metrics["demonstration"] else ""
    return {
        "verdict": demonstration + metrics["sentence"],
        "results": f"AUROC (95 % interval) of the model trained uncompressed: {'; '.join(areas)}.",
        "more_results": f"AUPRC (95 % interval of the population's value): {'; '.join(precision)}.",
        "spread": f"AUROC at CR 1 by fold, of every seed: {_by_fold(_transfer(model)[0])}.",
    }


def _operating(operating: Metrics) -> dict[str, str]:
    rates = [
        f"CR {ratio_text(row['test_ratio'])}: {_percent(row['sensitivity'])} and {_percent(row['specificity'])}"
        for row in operating["results"]
    ]
    changed = [
        f"CR {ratio_text(row['test_ratio'])}: {len(row['lost'])} and {len(row['gained'])}"
        for row in operating["results"]
        if row["changes"]
    ]
    found = {"given": "given with the model", "validation patients": "found on uncompressed validation patients"}
    source = found.get(operating["threshold_from"], "found from the uncompressed test images, in every resample anew")
    return {
        "threshold": f"Sensitivity and specificity {operating['place']}, {source}; the same for every ratio.",
        "operating": f"Sensitivity and specificity in % (95 % interval): {'; '.join(rates)}.",
        "failure": f"Positive images lost and gained at the threshold: {'; '.join(changed)}; the report names them.",
    }


def counted(members: Sequence[Any], noun: str) -> str:
    """Return their number with the noun: "1 training seed", "5 training seeds"."""
    return f"{len(members)} {noun}{'' if len(members) == 1 else 's'}"


def _transfer(model: Metrics) -> list[Metrics]:
    return sorted((result for result in model["results"] if result["transfer"]), key=lambda one: one["test_ratio"])


def _area(figure: Metrics) -> str:
    return f"{figure['mean']:.3f}{_interval(figure, 1, 3)}"


def _precision(figure: Metrics) -> str:
    """Return an AUPRC; its interval is of the population's."""
    if figure["no_interval"]:
        return f"{figure['mean']:.3f} (no interval)"
    population = f"{figure['corrected']:.3f}, {figure['low']:.3f} to {figure['high']:.3f}"
    return f"{figure['mean']:.3f} (population {population})"


def _percent(figure: Metrics) -> str:
    return f"{100 * figure['value']:.1f}{_interval(figure, 100, 1)}"


def _interval(figure: Metrics, scale: float, digits: int) -> str:
    """Return " (low to high)"; very few patients leave a figure without an interval."""
    if figure["low"] is None or figure["high"] is None:
        return " (no interval)"
    return f" ({scale * figure['low']:.{digits}f} to {scale * figure['high']:.{digits}f})"


def _by_fold(result: Metrics) -> str:
    return "; ".join(", ".join(f"{area:.3f}" for area in seed) for seed in result["auroc"]["by_seed_and_fold"])


def file_facts(run: RunFolder) -> dict[str, str]:
    """Return sentences about the images that were used and left out, from images.csv and left_out.csv."""
    images = read_table(run.images, ("patient_id", "label"))
    if images is None:
        return {}
    left_out = read_table(run.left_out, ())
    missing = 0 if left_out is None else len(left_out)
    classes = ", ".join(f"{count} {label}" for label, count in images["label"].value_counts().items())
    facts = {
        "images_used": f"{len(images) + missing} images were read; {missing} could not be used; "
        f"{len(images)} images of {images['patient_id'].nunique()} patients were used ({classes})."
    }
    if lossy := lossy_notice(run):
        facts["images_used"] += f" {lossy}"
    facts["left_out_rule"] = f"An image that cannot be read is left out and listed with its reason: {missing} here."
    return facts
