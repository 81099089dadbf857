"""The verdict: up to which compression ratio a model keeps its AUROC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.bootstrap import Estimate

MARGIN = 0.05
MIN_AUROC = 0.70
"""Minimum of the one-sided 95 % lower bound of the AUROC at CR 1; below it a model has too little to lose."""
MIN_MATCHED_SEEDS = 3

Kind = Literal["transfer", "matched"]


def verdict(kind: Kind, auroc: Mapping[float, Estimate], *, seeds: int, margin: float = MARGIN) -> dict[str, Any]:
    """Find the largest ratio that is non-inferior to CR 1 by a fixed-sequence test, from the lowest ratio up.

    A ratio passes if the one-sided 95 % lower bound of AUROC(CR) − AUROC(1), from paired replicates, is above −margin.
    The sequence stops at the first ratio that does not pass, even if higher ones do. Its order is fixed beforehand, so
    each step may use the full 5 % (Maurer, Hothorn & Lehmacher 1995).

    Parameters
    ----------
    kind : {"transfer", "matched"}
    auroc : mapping of test ratio to Estimate
        Ratio 1 is the reference.
    seeds : int
        Number of training seeds; a matched verdict needs 3, since each ratio is another training run.
    margin : float
        Largest loss of AUROC that is accepted (non-inferiority margin).

    Returns
    -------
    dict, ready for JSON
        outcome: "ratio", "no ratio passed", "cannot tell" (AUROC at CR 1 too low) or "not given"; reason: why there is
        no verdict, else None; ratio and first_failed: float or None; auroc_uncompressed: value and lower_bound; steps:
        one for each ratio, including those after the first failure (in_sequence False).
    """
    result: dict[str, Any] = {"kind": kind, "margin": margin, "outcome": "not given", "reason": None, "ratio": None}
    result |= {"first_failed": None, "auroc_uncompressed": None, "steps": []}
    ratios = sorted(ratio for ratio in auroc if ratio > 1)
    if 1.0 not in auroc:
        return result | {"reason": "there are no predictions of a model trained and tested on uncompressed images"}
    if not ratios:
        return result | {"reason": "there are no predictions on compressed images"}
    reference = auroc[1.0]
    result["auroc_uncompressed"] = {"value": reference.value, "lower_bound": reference.lower_bound()}
    result["steps"] = steps = _steps(auroc, ratios, margin)
    passed = [step["ratio"] for step in steps if step["in_sequence"] and step["passed"]]
    if kind == "matched" and seeds < MIN_MATCHED_SEEDS:
        return result | {"reason": f"it needs at least {MIN_MATCHED_SEEDS} training seeds, and there are {seeds}"}
    if reference.lower_bound() < MIN_AUROC:
        return result | {"outcome": "cannot tell", "reason": _too_low(reference)}
    result["first_failed"] = next((step["ratio"] for step in steps if not step["passed"]), None)
    if not passed:
        return result | {"outcome": "no ratio passed"}
    return result | {"outcome": "ratio", "ratio": passed[-1]}


def _steps(auroc: Mapping[float, Estimate], ratios: list[float], margin: float) -> list[dict[str, Any]]:
    steps, unbroken = [], True
    for ratio in ratios:
        difference = auroc[ratio] - auroc[1.0]
        bound = difference.lower_bound()
        passed = bound > -margin
        steps.append(
            {
                "ratio": ratio,
                "difference": difference.value,
                "lower_bound": bound,
                "passed": passed,
                "in_sequence": unbroken,
            }
        )
        unbroken = unbroken and passed
    return steps


def _too_low(reference: Estimate) -> str:
    return (
        f"on uncompressed images the AUROC is {reference.value:.2f} with a one-sided 95 % lower bound of "
        f"{reference.lower_bound():.2f}, and below {MIN_AUROC:.2f} a model has too little to lose"
    )


def verdict_sentence(verdict: Mapping[str, Any], *, frozen: bool = False) -> str:
    """Return a verdict as one plain sentence; it does not say what a frozen model was trained on, which is unknown."""
    model = {
        "transfer": "this model" if frozen else "a model trained on uncompressed images",
        "matched": "a model trained and tested at the same ratio",
    }[verdict["kind"]]
    if verdict["outcome"] == "not given":
        return f"There is no verdict for {model}: {verdict['reason']}."
    if verdict["outcome"] == "cannot tell":
        return f"Cannot tell how much compression {model} tolerates: {verdict['reason']}."
    margin, value = verdict["margin"], verdict["auroc_uncompressed"]["value"]
    claim = f"its AUROC within {margin:g} of the uncompressed one ({value:.2f}) with 95 % confidence"
    failed = verdict["first_failed"]
    if verdict["outcome"] == "no ratio passed":
        return f"No ratio passed: already at CR {ratio_text(failed)} {model} is not shown to keep {claim}."
    end = "the highest ratio tested" if failed is None else f"at CR {ratio_text(failed)} this is no longer shown"
    return f"Up to a compression ratio of {ratio_text(verdict['ratio'])}, {model} keeps {claim}; {end}."
