"""The verdict: up to which compression ratio a model keeps its AUROC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, Protocol

from mammo_jax.ratios import ratio_text
from mammo_jax.statistics.rule import Rule

MIN_AUROC = 0.70
"""Minimum of the one-sided lower bound of the AUROC at CR 1; below it a model has too little to lose."""
MIN_MATCHED_SEEDS = 5
"""With fewer trainings their variation is hardly known: its estimate has one degree of freedom less than there are."""

Kind = Literal["transfer", "matched"]
TRAINING_PATIENTS = (
    "This holds for other trainings on the same patients; what other training patients would change is not known."
)


class Bounded(Protocol):
    """An estimate with one-sided lower bounds."""

    @property
    def value(self) -> float:
        """The estimate."""
        ...

    def lower_bound(self, alpha: float) -> float:
        """Return the bound that the true value is below with probability `alpha`."""
        ...


class Area(Bounded, Protocol):
    """The AUROC of one ratio, which can be compared with that of another."""

    def __sub__(self, other: Any, /) -> Bounded:
        """Return the difference, for the same patients."""
        ...


def verdict(
    kind: Kind,
    auroc: Mapping[float, Area],
    *,
    seeds: int,
    patients: Sequence[tuple[int, int]],
    rule: Rule,
    harms: Mapping[float, Sequence[Mapping[str, Any]]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Find the largest ratio that is non-inferior to CR 1 by a fixed-sequence test, from the lowest ratio up.

    A ratio passes if the one-sided lower bound of AUROC(CR) − AUROC(1), for the same patients, is above −margin, and
    if it does no harm at the operating point. The sequence stops at the first ratio that does not pass, even if higher
    ones do. Its order is fixed beforehand, so each step may use the full alpha (Maurer, Hothorn & Lehmacher 1995).

    Parameters
    ----------
    kind : {"transfer", "matched"}
    auroc : mapping of test ratio to Area
        Ratio 1 is the reference.
    seeds : int
        Number of training seeds; a matched verdict needs 5, since each ratio is another training run.
    patients : sequence of (int, int)
        Positive and negative patients of each fold.
    rule : Rule
    harms : mapping of test ratio to sequence of dict
        What forbids a ratio whatever its AUROC, see `mammo_jax.statistics.harm.harms`.

    Returns
    -------
    dict, ready for JSON
        outcome: "ratio", "no ratio passed", "cannot tell" (too few patients or trainings, or too low an AUROC at CR 1)
        or "not given"; reason: why there is no verdict, else None; missing_positive_patients: int; ratio and
        first_failed: float or None; ratio_at_other_alpha: float or None; margin_share: the margin as a share of
        AUROC(1) − 0.5; auroc_uncompressed: value and lower_bound; veto: the harms of the ratio that ended the sequence,
        if its AUROC passed; steps: one for each ratio, including those after the first failure (in_sequence False);
        passed is about AUROC alone.
    """
    result: dict[str, Any] = {"kind": kind, "margin": rule.margin, "alpha": rule.alpha, "other_alpha": rule.other_alpha}
    result |= {"outcome": "not given", "reason": None, "missing_positive_patients": 0, "ratio": None}
    result |= {"ratio_at_other_alpha": None, "first_failed": None, "auroc_uncompressed": None, "margin_share": None}
    result |= {"veto": [], "steps": []}
    ratios = sorted(ratio for ratio in auroc if ratio > 1)
    if 1.0 not in auroc:
        return result | {"reason": "there are no predictions of a model trained and tested on uncompressed images"}
    if not ratios:
        return result | {"reason": "there are no predictions on compressed images"}
    reference = auroc[1.0]
    lowest = reference.lower_bound(rule.alpha)
    result["auroc_uncompressed"] = {"value": reference.value, "lower_bound": lowest}
    if reference.value > 0.5:
        result["margin_share"] = rule.margin / (reference.value - 0.5)
    result["steps"] = steps = _steps(auroc, ratios, rule, harms)
    reasons, missing = rule.obstacles(reference.value, patients)
    if kind == "matched" and seeds < MIN_MATCHED_SEEDS:
        reasons.insert(0, f"a matched verdict needs {MIN_MATCHED_SEEDS} training seeds, and there {_are(seeds)}")
    if lowest < MIN_AUROC:
        reasons.append(_too_low(reference.value, lowest, rule.alpha))
    if reasons:
        found = {"outcome": "cannot tell", "reason": "; ".join(reasons), "missing_positive_patients": missing}
        return result | found
    failed = next((step for step in steps if step["harms"] or not step["passed"]), None)
    if failed is not None:
        result |= {"first_failed": failed["ratio"], "veto": failed["harms"] if failed["passed"] else []}
    result["ratio"] = _last_passed(steps, "lower_bound", rule.margin)
    result["ratio_at_other_alpha"] = _last_passed(steps, "lower_bound_at_other_alpha", rule.margin)
    return result | {"outcome": "no ratio passed" if result["ratio"] is None else "ratio"}


def _steps(
    auroc: Mapping[float, Area],
    ratios: list[float],
    rule: Rule,
    harms: Mapping[float, Sequence[Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    steps, unbroken = [], True
    for ratio in ratios:
        difference = auroc[ratio] - auroc[1.0]
        bound = difference.lower_bound(rule.alpha)
        passed = bound > -rule.margin
        steps.append(
            {
                "ratio": ratio,
                "difference": difference.value,
                "lower_bound": bound,
                "lower_bound_at_other_alpha": difference.lower_bound(rule.other_alpha),
                "passed": passed,
                "harms": list(harms.get(ratio, ())),
                "in_sequence": unbroken,
            }
        )
        unbroken = unbroken and passed and not steps[-1]["harms"]
    return steps


def _last_passed(steps: list[dict[str, Any]], bound: str, margin: float) -> float | None:
    """Return the last ratio before the first that does harm, or whose bound is not above −margin."""
    last = None
    for step in steps:
        if step["harms"] or not step[bound] > -margin:
            break
        last = step["ratio"]
    return last


def _are(count: int) -> str:
    return f"is {count}" if count == 1 else f"are {count}"


def _too_low(value: float, lowest: float, alpha: float) -> str:
    return (
        f"on uncompressed images the AUROC is {value:.2f} with a one-sided {confidence(alpha)} lower bound of "
        f"{lowest:.2f}, and below {MIN_AUROC:.2f} a model has too little to lose"
    )


def confidence(alpha: float) -> str:
    """Return one minus a level in words: 0.025 becomes "97.5 %"."""
    return f"{100 * (1 - alpha):g} %"


def verdict_sentence(verdict: Mapping[str, Any], *, noun: str = "image", frozen: bool = False) -> str:
    """Return a verdict as one plain sentence; it does not say what a frozen model was trained on, which is unknown.

    Parameters
    ----------
    verdict : mapping
    noun : str
        What was counted: "image", "patch", "breast" or "woman".
    frozen : bool
    """
    model = {
        "transfer": "this model" if frozen else "a model trained on uncompressed images",
        "matched": "a model trained and tested at the same ratio",
    }[verdict["kind"]]
    if verdict["outcome"] == "not given":
        return f"There is no verdict for {model}: {verdict['reason']}."
    if verdict["outcome"] == "cannot tell":
        return f"Cannot tell how much compression {model} tolerates: {verdict['reason']}."
    margin, value = verdict["margin"], verdict["auroc_uncompressed"]["value"]
    sure = confidence(verdict["alpha"])
    claim = f"its AUROC per {noun} within {margin:g} of the uncompressed one ({value:.2f}) with {sure} confidence"
    failed = verdict["first_failed"]
    if verdict["veto"]:
        end = f"CR {ratio_text(failed)} would pass by AUROC, but {harm_text(verdict['veto'])}"
        if verdict["outcome"] == "no ratio passed":
            return f"No ratio passed: {end}."
    elif verdict["outcome"] == "no ratio passed":
        return f"No ratio passed: already at CR {ratio_text(failed)} {model} is not shown to keep {claim}."
    else:
        end = "the highest ratio tested" if failed is None else f"at CR {ratio_text(failed)} this is no longer shown"
    up_to = f"Up to a compression ratio of {ratio_text(verdict['ratio'])}, {model} keeps {claim}; {end}."
    return f"{up_to} {TRAINING_PATIENTS}" if verdict["kind"] == "matched" else up_to


def harm_text(harms: Sequence[Mapping[str, Any]]) -> str:
    """Return harms in words: "at the threshold of 90 % sensitivity, sensitivity falls by 4.9 points (0.9 to 9.8)"."""
    falls = []
    for harm in harms:
        loss, low, high = (100 * harm[name] for name in ("loss", "low", "high"))
        falls.append(f"{harm['measure']} falls by {loss:.1f} points ({low:.1f} to {high:.1f})")
    return f"{harms[0]['place']}, {' and '.join(falls)}"
