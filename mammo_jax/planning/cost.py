"""What a study costs: time of cores, memory, and bytes on disk, from sizes and measured rates.

The rates were measured on one core of a quiet server (docs/BENCHMARKS.md for training); on a busy one without AVX-512
the CNN took 2.4 times as long. Trainings that stop early take less. The time of a GPU or TPU, of other codecs and of
networks of the user is not known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np

from mammo_jax.compression.ladder import OURS
from mammo_jax.models import init_model
from mammo_jax.sources.stored_pixels import StoredSize
from mammo_jax.training_config import TrainingConfig

COMPRESS = (35e-9, 14e-9)
"""Seconds a pixel of the whole image: to read, cut and hash it, and for each ratio to compress, measure and cut it."""
DRAW = 90e-9
"""Seconds a pixel to draw a phantom."""
TRAIN = {"cnn": 113e-9, "resnet18": 1160e-9}
SCORE = {"cnn": 35e-9, "resnet18": 340e-9}
"""Seconds a pixel of the model's input, in a training step and in inference; the CNN with 8, 16 and 32 filters."""
CNN_FILTERS = 8
START_MODEL = {"cnn": 1.5, "resnet18": 8.0}
"""Seconds until a model's first step."""
EVALUATE = 60.0
"""Seconds for statistics and the report."""

PROCESS_BYTES = {"compress": 0.5e9, "cnn": 1.2e9, "resnet18": 2.0e9}
"""Memory of a process with its libraries; `mammo_jax.training.grid` says so of those that train."""
COMPRESS_BYTES = 24
"""Memory a pixel of the image that is compressed."""
EXAMPLE_COPIES = 3
"""How often a training holds its examples: as read, as trained on, and in TensorFlow."""
STEP_BYTES = {"cnn": 200, "resnet18": 450}
"""Memory a pixel of a batch's input in a training step."""
RECORD_BYTES = 1000
"""Of a record, beside its image."""
CHECKPOINT_COPIES = 4
"""Of the weights while a training may be interrupted: the best, the current, and two moments of the optimizer."""


@dataclass(frozen=True)
class Work:
    """What a study does, in numbers.

    Attributes
    ----------
    sizes : sequence of StoredSize
        Of the images that can be used.
    drawn : bool
        Whether they are drawn instead of read.
    ratios : int
        Without CR 1.
    codec : str
    units : int
        Examples a ratio.
    input_shape : tuple of (rows, columns)
    folds : int
    models : int
        Trainings.
    tests : int
        Tests of one model on one ratio, over all models.
    training : TrainingConfig
    """

    sizes: Sequence[StoredSize]
    drawn: bool
    ratios: int
    codec: str
    units: int
    input_shape: tuple[int, int]
    folds: int
    models: int
    tests: int
    training: TrainingConfig

    @property
    def input_pixels(self) -> int:
        """Pixels of one example."""
        return self.input_shape[0] * self.input_shape[1]

    @property
    def kind(self) -> str:
        """The network whose rates count."""
        return "resnet18" if self.training.model == "resnet18" else "cnn"


def compress_seconds(work: Work) -> float | None:
    """Time of one core to compress and cut all images; None for another codec than ours."""
    if work.codec != OURS:
        return None
    pixels = sum(size.pixels for size in work.sizes)
    once, each = COMPRESS
    return pixels * (once + each * work.ratios + DRAW * work.drawn)


def training_seconds(work: Work) -> float | None:
    """Time of one core to train every model to its last epoch and to test it; None for a network of the user."""
    config = work.training
    if config.model not in TRAIN:
        return None
    share = config.filters[0] / CNN_FILTERS if config.model == "cnn" else 1.0
    seen = work.input_pixels * share
    if config.window is not None:  # windows overlap
        seen *= (config.window / config.window_step) ** 2
    outside = work.units * (1 - 1 / work.folds)
    validated = outside / config.validation_parts
    fitted = outside - validated if config.validation_parts > 1 else outside
    epoch = seen * (fitted * TRAIN[config.model] + validated * SCORE[config.model])
    test = seen * work.units / work.folds * SCORE[config.model]
    return work.models * (START_MODEL[config.model] + config.epochs * epoch) + work.tests * test


def network_bytes(config: TrainingConfig, input_shape: tuple[int, int]) -> int:
    """Size of a network's weights; the network is laid out, and not computed.

    Raises
    ------
    ModelError
        If it cannot be built, or does not take such images.
    """
    image = np.zeros((1, *input_shape, 1), np.float32)
    variables = jax.eval_shape(partial(init_model, config), jax.random.key(0), image)
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(variables))


def disk_bytes(work: Work, weights: int, workers: int) -> int:
    """Bytes that the run folder may grow to."""
    records = work.units * (work.ratios + 1) * (2 * work.input_pixels + RECORD_BYTES)
    return records + weights * (work.models + CHECKPOINT_COPIES * workers)


def compress_memory(work: Work, workers: int) -> int:
    """Bytes of memory that compressing takes at most."""
    largest = max((size.pixels for size in work.sizes), default=0)
    return int(workers * (PROCESS_BYTES["compress"] + COMPRESS_BYTES * largest))


def training_memory(work: Work, weights: int, workers: int, cache_bytes: int) -> int:
    """Bytes of memory that training takes on the CPU, with up to `cache_bytes` of examples kept a process."""
    of_ratio = 2 * work.units * work.input_pixels
    kept = min((work.ratios + 1) * of_ratio, max(cache_bytes, of_ratio))
    batch = work.training.batch_size / work.training.accumulate * work.input_pixels * STEP_BYTES[work.kind]
    each = PROCESS_BYTES[work.kind] + kept + EXAMPLE_COPIES * of_ratio + batch + CHECKPOINT_COPIES * weights
    return int(workers * each)
