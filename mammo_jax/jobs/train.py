"""Train one network a ratio, fold and seed, and score its held-out fold: `mammo-jax train`, same flags as study.

Several machines share each model with --distributed, after `mammo-jax prepare` on one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

from mammo_jax.dataset.input_pipeline import read_examples
from mammo_jax.dataset.parts import DatasetError
from mammo_jax.devices import join_processes, writes_files
from mammo_jax.jobs.config import StudyConfig, parse
from mammo_jax.jobs.protocol import fix_protocol
from mammo_jax.jobs.run_job import run_job
from mammo_jax.jobs.study_run import run_started
from mammo_jax.training.grid import run_grid


def train(config: StudyConfig) -> None:
    """Fix the protocol, train and test every model that is missing; skipped where the predictions table is there."""
    if config.run.dataset_complete.exists() and writes_files():
        fix_protocol(config)
    if config.run.predictions.exists():
        return
    if not config.run.dataset_complete.exists():
        raise DatasetError(
            f"{config.run.dataset} is missing or unfinished; run `mammo-jax prepare` with the same flags first"
        )
    run_grid(
        partial(read_examples, config.run.readable_parts()),
        range(config.folds),
        config.trained_ratios,
        (1.0, *config.ratios),
        config.seeds,
        config.training,
        config.run,
        initial_features=config.features_run,
        transfer_matrix=config.transfer_matrix,
        workers=config.workers,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(_start, partial(parse, job="train"), arguments, networks=True)


def _start(config: StudyConfig, flags: list[str]) -> None:
    if config.distributed:
        join_processes()
    with run_started(config, "train", flags) if writes_files() else nullcontext():
        train(config)
