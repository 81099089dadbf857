"""The same networks, weights and batches in JAX and in PyTorch: how far apart are they?

    mammo-jax check-against-torch                       a table, and OUT/check_against_torch.json
    mammo-jax check-against-torch --codec               our codestreams and OpenJPEG's decoder as well
    mammo-jax check-against-torch --write-references    the figures that `make test` compares with without PyTorch

Needs `pip install 'mammo-jax[torch]'`; takes about three minutes. Both sides get the same standardised images: every
image has mean 0 and deviation 1, where ImageNet's own preprocessing would subtract the mean of three colours. Every
convolution is padded by half its kernel on each side, as in PyTorch; Flax's "SAME" pads strided convolutions on one
side more, which moves the logits of a ResNet18. Trajectories are compared in float64: in float32 those of both
frameworks part where a sum's last bit decides on which side of a ReLU's kink a value falls, so they are shown and not
judged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import jax
import numpy as np
import pandas as pd
import torch
import tyro

import codec
from experiments.parity import (
    CASES,
    Case,
    Optimizer,
    case_batches,
    case_variables,
    digest,
    jax_gradients,
    jax_logits,
    jax_trajectory,
    seen,
)
from experiments.prepare import prepare
from experiments.study_config import PhantomConfig, StudyConfig
from experiments.torch_models import transformers_resnet18
from experiments.torch_training import (
    as_torch,
    descend,
    torch_loss,
    torch_state,
    torch_trajectory,
    torch_twin,
    train_in_torch,
)
from mammo_jax.bootstrap import estimates
from mammo_jax.dataset import parts
from mammo_jax.files import write_json
from mammo_jax.input_pipeline import Examples, read_examples
from mammo_jax.models import build_model
from mammo_jax.models.pretrained import with_pretrained
from mammo_jax.prediction_grid import prediction_grid
from mammo_jax.sources.phantom import Phantom
from mammo_jax.trained_model import predict
from mammo_jax.training import train_model
from mammo_jax.training_config import TrainingConfig
from mammo_jax.units import UnitConfig

REFERENCES = Path("tests/references")
EXACT, SINGLE = 1e-9, 1e-4
CODEC_RATIOS = (15.0, 100.0, 1000.0, 5000.0)


@dataclass(frozen=True)
class CheckConfig:
    """What is checked.

    Attributes
    ----------
    out : Path
        Folder for check_against_torch.json.
    codec : bool
        Decode our codestreams with OpenJPEG as well.
    write_references : bool
        Write PyTorch's figures to tests/references.
    images, folds, epochs : int
        Of the training whose AUROCs are compared; 0 images leave it out.
    """

    out: Path = Path("runs/check")
    codec: bool = False
    write_references: bool = False
    images: int = 160
    folds: int = 3
    epochs: int = 12


@dataclass(frozen=True)
class Row:
    """One line of the table; `limit` None is shown and not judged."""

    what: str
    difference: float
    scale: float
    limit: float | None

    @property
    def passed(self) -> bool:
        """Whether the difference, as part of the scale where that is above 1, is within the limit."""
        return self.limit is None or self.difference <= self.limit * max(1.0, self.scale)


def apart(what: str, ours: Any, theirs: Any, limit: float | None) -> Row:
    """Largest difference of two arrays, or of all arrays of two dicts."""
    if isinstance(theirs, dict):
        if ours.keys() != theirs.keys():
            raise RuntimeError(f"{what}: one side lacks {ours.keys() ^ theirs.keys()}")
        rows = [apart(what, ours[name], theirs[name], limit) for name in theirs]
        return Row(what, max(row.difference for row in rows), max(row.scale for row in rows), limit)
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return Row(what, float(np.abs(ours - theirs).max()), float(np.abs(theirs).max()), limit)


def torch_logits(case: Case, dtype: type) -> np.ndarray:
    """What `parity.jax_logits` gives, by PyTorch."""
    model = torch_twin(case.config, case_variables(case, dtype), dtype).eval()
    with torch.no_grad():
        return model(as_torch(seen(next(case_batches(case))["image"], dtype), dtype)).numpy()


def torch_gradients(case: Case, dtype: type) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What `parity.jax_gradients` gives, by PyTorch's backward pass."""
    model = torch_twin(case.config, case_variables(case, dtype), dtype)
    batch = next(case_batches(case))
    torch_loss(model, as_torch(seen(batch["image"], dtype), dtype), batch, dtype).backward()
    gradients = {name: value.grad.numpy() for name, value in model.named_parameters()}
    return gradients, {name: value for name, value in torch_state(model).items() if "running" in name}


def network_rows(case: Case) -> Iterator[Row]:
    """Everything about one network."""
    for dtype, limit in ((np.float64, EXACT), (np.float32, SINGLE)):
        name = f"{case.name}, {np.dtype(dtype).name}"
        exact = limit if dtype == np.float64 else None
        yield apart(f"{name}: logits", jax_logits(case, dtype), torch_logits(case, dtype), limit)
        (gradients, stats), theirs = jax_gradients(case, dtype), torch_gradients(case, dtype)
        yield apart(f"{name}: gradients of the first step", gradients, theirs[0], exact)
        yield apart(f"{name}: batch-norm statistics after it", stats, theirs[1], limit)
        optimizers: tuple[Optimizer, ...] = ("sgd", "adamw")
        for optimizer in optimizers:
            ours = jax_trajectory(case, optimizer, dtype)
            torchs = torch_trajectory(case, optimizer, case_variables(case, dtype), dtype)
            yield apart(f"{name}: losses of 20 steps of {optimizer}", ours.losses, torchs.losses, exact)
            yield apart(f"{name}: parameters and statistics after them", ours.state, torchs.state, exact)
    yield carried_back(case)


def carried_back(case: Case) -> Row:
    """Carry weights that PyTorch trained into Flax, as pretrained weights are; its logits must come along."""
    variables, images = case_variables(case, np.float64), seen(next(case_batches(case))["image"], np.float64)
    model = torch_twin(case.config, variables, np.float64)
    descent = torch.optim.SGD(model.parameters(), lr=1.0)
    for batch in case_batches(case, 3):
        descend(
            descent, torch_loss(model, as_torch(seen(batch["image"], np.float64), np.float64), batch, np.float64), 1e-2
        )
    trained = with_pretrained(variables, torch_state(model), ())
    with torch.no_grad():
        theirs = model.eval()(as_torch(images, np.float64)).numpy()
    return apart(f"{case.name}, float64: logits of weights carried back", _logits_of(case, trained), theirs, EXACT)


def _logits_of(case: Case, variables: dict[str, Any]) -> np.ndarray:
    with jax.enable_x64(True):
        images = seen(next(case_batches(case))["image"], np.float64)
        return np.asarray(build_model(case.config).apply(variables, images))


def third_party_row() -> Row:
    """Hugging Face's ResNet-18, which neither side wrote."""
    case = CASES["resnet18"]
    model = transformers_resnet18(case_variables(case, np.float64))
    with torch.no_grad():
        theirs = model(as_torch(seen(next(case_batches(case))["image"], np.float64), np.float64)).logits[:, 0].numpy()
    return apart("resnet18, float64: logits of transformers' own", jax_logits(case, np.float64), theirs, EXACT)


def auroc_rows(config: CheckConfig) -> list[Row]:
    """Train both on the same folds of phantom patches and compare the AUROC of the held-out images."""
    settings = TrainingConfig(epochs=config.epochs)
    scores: dict[str, list[np.ndarray]] = {"jax": [], "torch": []}
    with tempfile.TemporaryDirectory() as folder:
        examples = _phantom_patches(config, Path(folder))
        for fold in range(config.folds):
            trained = train_model(examples, fold, settings, 0, Path(folder) / str(fold))
            scores["jax"].append(predict(trained, examples.images[examples.folds == fold]))
            scores["torch"].append(train_in_torch(examples, fold, settings, 0))
    ours, theirs = (_bootstrap(examples, scores[name]) for name in ("jax", "torch"))
    low, high = (theirs - ours).interval()
    what = f"cnn trained: AUROC JAX {ours.value:.3f}, PyTorch {theirs.value:.3f}; 95 % of the difference {low:+.3f} …"
    return [Row(f"{what} {high:+.3f}", abs(theirs.value - ours.value), 1.0, None)]


def _phantom_patches(config: CheckConfig, folder: Path) -> Examples:
    study = StudyConfig(
        out=folder / "run",
        ratios=(15.0,),
        folds=config.folds,
        phantom=PhantomConfig(images=config.images, rows=832, columns=640, phantom_pitch=0.28),
        units=UnitConfig(target="lesion"),
    )
    prepare(study)
    return read_examples(parts(study.out / "dataset"), 1.0)


def _bootstrap(examples: Examples, scores: list[np.ndarray]) -> Any:
    """Fold-averaged AUROC; the same patients are drawn for both frameworks, so differences are paired."""
    tables = []
    for fold, of_fold in enumerate(scores):
        held_out = examples.take(np.flatnonzero(examples.folds == fold))
        columns = {"patient_id": held_out.patient_ids, "image_id": held_out.image_ids, "label": held_out.targets}
        constant = {"train_ratio": "1", "test_ratio": 1.0, "fold": fold, "seed": 0}
        tables.append(pd.DataFrame({**columns, "score": of_fold, **constant}))
    found, _ = estimates(prediction_grid(pd.concat(tables, ignore_index=True)), 2000, 0)
    return found["1", 1.0].auroc


def codec_rows() -> Iterator[Row]:
    """Decode our codestreams with OpenJPEG and with our own decoder, and compare both with the encoder's own image."""
    phantom = Phantom(images=1, rows=1024, columns=1024, pixel_pitch=0.25)[0]
    for encoded in codec.encode_ladder(phantom.pixels, CODEC_RATIOS, bits_stored=phantom.bits_stored):
        openjpeg = imagecodecs.jpeg2k_decode(encoded.codestream)
        name = f"codec, CR {phantom.pixels.nbytes / len(encoded.codestream):.0f}: grey levels from OpenJPEG's,"
        for who, image in (("decoder", codec.decode(encoded.codestream)), ("encoder", encoded.reconstruction)):
            difference = float(np.abs(np.asarray(image, np.int64) - openjpeg).max())
            yield Row(f"{name} {who}", difference, 1.0, 1.0)


def write_references() -> None:
    """Write PyTorch's figures of every case, float64."""
    for case in CASES.values():
        variables = case_variables(case, np.float64)
        gradients, statistics = torch_gradients(case, np.float64)
        figures: dict[str, Any] = {
            "logits": torch_logits(case, np.float64).tolist(),
            "gradients": digest(gradients),
            "statistics": digest(statistics),
        }
        optimizers: tuple[Optimizer, ...] = ("sgd", "adamw")
        for optimizer in optimizers:
            trajectory = torch_trajectory(case, optimizer, variables, np.float64)
            figures[optimizer] = {"losses": trajectory.losses, "state": digest(trajectory.state)}
        write_json(REFERENCES / f"{case.name}.json", {"torch": torch.__version__, **figures})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    config = tyro.cli(CheckConfig, args=arguments, description=__doc__)
    if config.write_references:
        write_references()
    rows: list[Row] = []
    sources: list[Any] = [network_rows(case) for case in CASES.values()]
    sources += [[third_party_row()]] + ([codec_rows()] if config.codec else [])
    sources += [auroc_rows(config)] if config.images else []
    print(f"{'':78}{'apart':>9}{'of':>9}{'allowed':>9}")
    for row in (row for source in sources for row in source):
        rows.append(row)
        verdict = "" if row.limit is None else f"{row.limit:9.0e}  {'ok' if row.passed else 'TOO FAR'}"
        print(f"{row.what:78}{row.difference:9.1e}{row.scale:9.1e}{verdict}", flush=True)
    failed = [row.what for row in rows if not row.passed]
    write_json(
        config.out / "check_against_torch.json",
        {"torch": torch.__version__, "rows": [vars(row) | {"passed": row.passed} for row in rows], "failed": failed},
    )
    print(f"\n{config.out / 'check_against_torch.json'}")
    if failed:
        raise SystemExit(f"error: {len(failed)} figures are too far apart, {failed[0]!r} first")


if __name__ == "__main__":
    main()
