"""The same networks, weights and batches in JAX and in PyTorch: how far apart are they?

    mammo-jax check-against-torch                       a table, and OUT/check_against_torch.json
    mammo-jax check-against-torch --codec               our codestreams and OpenJPEG's decoder as well
    mammo-jax check-against-torch --write-references    the figures that `make test` compares with without PyTorch

Needs `pip install 'mammo-jax[torch]'`; takes about three minutes. Float64 has absolute limits, float32 and attributions
have parts of the largest value. Trajectories are judged in float64: in float32 those of both frameworks part where a
sum's last bit decides on which side of a ReLU's kink a value falls, so they are shown only.
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
from mammo_jax.runtime import set_up
from mammo_jax.sources.phantom import Phantom

CODEC_RATIOS = (15.0, 100.0, 1000.0, 5000.0)
DIFFERENCES = {
    "preprocessing": "both sides get every image with its own mean 0 and deviation 1, where the ImageNet weights were"
    " trained on images less the mean of three colours over their deviation, (0.485, 0.456, 0.406) and"
    " (0.229, 0.224, 0.225) of 1",
    "padding": 'every convolution is padded by half its kernel on each side, as in PyTorch; Flax\'s "SAME" pads'
    " convolutions of stride 2 on one side more, which would move the logits of a ResNet18",
}
"""What could differ from the usual ways of either framework, and does not differ here."""


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


def codec_rows() -> Iterator[Row]:
    """Decode our codestreams with OpenJPEG and with our own decoder, and compare both with the encoder's own image."""
    phantom = Phantom(images=1, rows=1024, columns=1024, pixel_pitch=0.25)[0]
    for encoded in codec.encode_ladder(phantom.pixels, CODEC_RATIOS, bits_stored=phantom.bits_stored):
        openjpeg = imagecodecs.jpeg2k_decode(encoded.codestream)
        name = f"codec, CR {encoded.ratio_allocated:.0f}: grey levels from OpenJPEG's,"
        for who, image in (("decoder", codec.decode(encoded.codestream)), ("encoder", encoded.reconstruction)):
            difference = float(np.abs(np.asarray(image, np.int64) - openjpeg).max())
            yield Row(f"{name} {who}", difference, 1.0, 1.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job."""
    config = tyro.cli(CheckConfig, args=arguments, description=__doc__)
    set_up(networks=True)
    with needing_torch():
        import torch

        from experiments.torch_parity import rows as torch_rows
    if config.write_references:
        torch_rows.write_references()
    rows: list[Row] = []
    sources: list[Iterable[Row]] = [torch_rows.network_rows(case) for case in CASES.values()]
    sources += [torch_rows.third_party_rows(), torch_rows.saliency_rows(), *([codec_rows()] if config.codec else [])]
    sources += [torch_rows.auroc_rows(config.images, config.folds, config.epochs)] if config.images else []
    print(f"{'':78}{'apart':>9}{'of':>9}{'allowed':>15}")
    for row in (row for source in sources for row in source):
        rows.append(row)
        limit = "" if row.limit is None else f"{row.limit:.0e}{' of it' if row.of_scale else ''}"
        verdict = f"{limit:>15}  {'TOO FAR' if not row.passed else 'ok' if limit else 'shown only'}"
        print(f"{row.what:78}{row.difference:9.1e}{row.scale:9.1e}{verdict}", flush=True)
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
        raise SystemExit(f"error: {len(failed)} figures are too far apart, {failed[0]!r} first")


if __name__ == "__main__":
    main()
