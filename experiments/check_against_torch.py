"""Compare the same networks, weights and batches in JAX and in PyTorch.

    mammo-jax check-against-torch                       a table, and OUT/check_against_torch.json
    mammo-jax check-against-torch --codec               also our codestreams with OpenJPEG's decoder
    mammo-jax check-against-torch --write-references    PyTorch's results, which `make test` compares with

Needs `pip install 'mammo-jax[torch]'`; takes about three minutes. Limits in float64 are absolute; those in float32 and
of attributions are relative to the largest value. Trajectories have limits in float64 only: in float32 they diverge
when the last bit of a sum decides on which side of a ReLU's kink a value falls, so they are only shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tyro

import codec
from experiments.torch_parity.parity import CASES, Row, needing_torch
from mammo_jax.files import write_json
from mammo_jax.jobs.run_job import run_job
from mammo_jax.sources.phantom import Phantom

CODEC_RATIOS = (15.0, 100.0, 1000.0, 5000.0)
DIFFERENCES = {
    "preprocessing": "in both frameworks every image has mean 0 and standard deviation 1; the ImageNet weights were"
    " trained on images normalised by the mean (0.485, 0.456, 0.406) and the deviation (0.229, 0.224, 0.225) of three"
    " colours",
    "padding": 'every convolution is padded by half its kernel on each side, as in PyTorch; Flax\'s "SAME" pads'
    " convolutions of stride 2 more on one side, which would change the logits of a ResNet18",
}
"""Known differences from the usual conventions of the frameworks, which are the same on both sides here."""


@dataclass(frozen=True)
class CheckConfig:
    """Settings of the check.

    Attributes
    ----------
    out : Path
        Folder for check_against_torch.json.
    codec : bool
        Also decode our codestreams with OpenJPEG.
    write_references : bool
        Write PyTorch's results to tests/experiments/references.
    images, folds, epochs : int
        Size of the training whose AUROCs are compared; with 0 images it is left out.
    """

    out: Path = Path("runs/check")
    codec: bool = False
    write_references: bool = False
    images: int = 160
    folds: int = 3
    epochs: int = 12


def codec_rows() -> Iterator[Row]:
    """Compare OpenJPEG's image of our codestreams with our decoder's and with the encoder's reconstruction."""
    phantom = Phantom(images=1, rows=1024, columns=1024, pixel_pitch=0.25)[0]
    for encoded in codec.encode_ladder(phantom.pixels, CODEC_RATIOS, bits_stored=phantom.bits_stored):
        openjpeg = imagecodecs.jpeg2k_decode(encoded.codestream)
        name = f"codec, CR {encoded.ratio_allocated:.0f}: grey levels from OpenJPEG's,"
        for side, image in (("decoder", codec.decode(encoded.codestream)), ("encoder", encoded.reconstruction)):
            difference = float(np.abs(np.asarray(image, np.int64) - openjpeg).max())
            yield Row(f"{name} {side}", difference, 1.0, 1.0)


def check(config: CheckConfig, _flags: Sequence[str]) -> None:
    """Print and write every comparison; exit with 1 if a difference is too large."""
    with needing_torch():
        import torch

        from experiments.torch_parity import rows as torch_rows
    if config.write_references:
        torch_rows.write_references()
    rows: list[Row] = []
    sources: list[Iterable[Row]] = [torch_rows.network_rows(case) for case in CASES.values()]
    sources += [torch_rows.third_party_rows(), torch_rows.saliency_rows(), *([codec_rows()] if config.codec else [])]
    sources += [torch_rows.auroc_rows(config.images, config.folds, config.epochs)] if config.images else []
    print(f"{'':78}{'differ by':>10}{'of':>9}{'limit':>15}")
    for row in (row for source in sources for row in source):
        rows.append(row)
        limit = "" if row.limit is None else f"{row.limit:.0e}{' of it' if row.of_scale else ''}"
        verdict = f"{limit:>15}  {'TOO LARGE' if not row.passed else 'ok' if limit else 'shown only'}"
        print(f"{row.what:78}{row.difference:10.1e}{row.scale:9.1e}{verdict}", flush=True)
    failed = [row.what for row in rows if not row.passed]
    write_json(
        config.out / "check_against_torch.json",
        {
            "torch": torch.__version__,
            "differences": DIFFERENCES,
            "rows": [vars(row) | {"passed": row.passed} for row in rows],
            "failed": failed,
        },
    )
    print("\n" + "\n".join(f"{name}: {text}" for name, text in DIFFERENCES.items()))
    print(f"\n{config.out / 'check_against_torch.json'}")
    if failed:
        raise SystemExit(f"error: {len(failed)} differences are too large, the first is {failed[0]!r}")


def _parse(flags: list[str]) -> CheckConfig:
    return tyro.cli(CheckConfig, args=flags, description=__doc__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    run_job(check, _parse, arguments, networks=True)


if __name__ == "__main__":
    main()
