"""How far can mammograms be compressed before a classifier gets worse? From images to a verdict and a report.

Compresses every image at every ratio, trains one network a ratio and fold, scores the held-out folds, and writes
RUN/report.html. Interrupted, it goes on where it was; finished, it only prints the verdict again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.prepare import prepare
from experiments.saliency import measure
from experiments.study_config import StudyConfig, parse, reporting_errors, start_run
from experiments.train import train
from mammo_jax.files import read_json, write_json
from mammo_jax.predictions import read_predictions
from mammo_jax.provenance import log_event
from mammo_jax.report.build import build_report
from mammo_jax.statistics import evaluate


def study(config: StudyConfig) -> None:
    """Run every stage that is not done yet, and print the verdict and the report's path."""
    prepare(config)
    train(config)
    metrics = config.out / "metrics.json"
    if not metrics.exists():
        predictions = read_predictions(config.out / "predictions.parquet")
        figures = evaluate(predictions, margin=config.margin, resamples=config.resamples, target=config.units.target)
        write_json(metrics, figures)
    measured = config.saliency and measure(config)
    report = config.out / "report.html"
    if measured or not report.exists():
        build_report(config.out)
        log_event(config.out, "reported")
    found = read_json(metrics)
    print(("Demonstration (one training seed). " if found["demonstration"] else "") + found["sentence"])
    print(f"report: {report}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    config = parse(given, __doc__ or "")
    if config.distributed:
        raise SystemExit("error: distributed is for training; run mammo-jax prepare, then train, then study without it")
    with reporting_errors():
        start_run(config, "study", given)
        study(config)


if __name__ == "__main__":
    main()
