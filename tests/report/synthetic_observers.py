"""observer/summary.json as the observer stage writes it, with chosen figures."""

import json
from pathlib import Path

from synthetic_run import LOSSES

from mammo_jax.observer.summary import SCHEMA


def row(arm: str, training: str, ratio: float, mean: float) -> dict:
    return {"arm": arm, "training": training, "ratio": ratio, "mean": mean, "low": mean - 0.04, "high": mean + 0.04}


def write_observers(run: Path, *, shortcut: bool = False, blind_at_chance: bool = True, network: bool = True) -> dict:
    means = {ratio: 0.9 - 0.05 * loss for ratio, loss in LOSSES.items()}
    curves = [
        row(arm, training, ratio, mean - less)
        for arm, training, less in (
            ("observer", "transfer", 0.02),
            ("observer", "matched", 0.0),
            ("resized", "transfer", 0.12),
            ("resized", "matched", 0.1),
            ("psnr", "matched", 0.3),
            ("statistics", "matched", 0.25),
            ("blind", "matched", 0.4),
            *([("network", "transfer", 0.03)] if network else []),
        )
        for ratio, mean in means.items()
    ]
    named = [{"arm": "psnr", "ratios": 3, "of": 11, "largest": row("psnr", "matched", 100.0, 0.71)}]
    summary = {
        "schema": SCHEMA,
        "counts": {"patches": 640, "positive_patches": 122, "patients": 160, "positive_patients": 61},
        "curves": curves,
        "against_resized": [{"ratio": ratio, "mean": 0.1, "low": 0.05, "high": 0.15} for ratio in means if ratio > 1],
        "shortcuts": named if shortcut else [],
        "blind_at_chance": blind_at_chance,
    }
    (run / "observer").mkdir(exist_ok=True)
    (run / "observer" / "summary.json").write_text(json.dumps(summary))
    return summary
