"""What it costs to hold a ladder in one codestream of layers, and to lose nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import imagecodecs
import numpy as np

import codec
from experiments.codec_benchmark.trials import Image, least_seconds
from mammo_jax.compression.image_quality import psnr
from mammo_jax.ratios import ratio_text


@dataclass(frozen=True)
class LayerTrial:
    """Layered and lossless codestreams of one image, one thread.

    Attributes
    ----------
    layers_seconds, lossless_seconds, openjpeg_seconds : float
        To encode all layers; to encode without loss; the same by imagecodecs' OpenJPEG.
    lossless_bytes, embedded_bytes, openjpeg_bytes : int
        Without loss: in one layer, with the ladder as its first layers, and OpenJPEG's.
    lost, lost_embedded : dict
        Ratio → dB of PSNR that a layer shows less than a codestream of its own, of the same size; in the layers of a
        lossy codestream (9/7 filter), and of a lossless one (5/3 filter).
    """

    layers_seconds: float
    lossless_seconds: float
    openjpeg_seconds: float
    lossless_bytes: int
    embedded_bytes: int
    openjpeg_bytes: int
    lost: dict[float, float]
    lost_embedded: dict[float, float]

    def text(self) -> str:
        """Three lines for readers."""

        def losses(lost: dict[float, float]) -> str:
            return ", ".join(f"CR {ratio_text(ratio)} {loss:.2f}" for ratio, loss in lost.items())

        return (
            f"threads 1, in layers of one codestream: {self.layers_seconds:.2f} s; dB less than alone: "
            f"{losses(self.lost)}\n"
            f"threads 1, lossless: {self.lossless_seconds:.2f} s, {self.lossless_bytes} bytes; OpenJPEG "
            f"{self.openjpeg_seconds:.2f} s, {self.openjpeg_bytes} bytes\n"
            f"with the ladder as its first layers {self.embedded_bytes} bytes; dB less than alone: "
            f"{losses(self.lost_embedded)}"
        )


def measure_layers(image: Image, ratios: Sequence[float], repeats: int) -> LayerTrial:
    """Encode an image in layers and without loss, and compare what the layers show.

    Raises
    ------
    codec.LayerError
        The ratios are too near each other for layers of this image.
    """
    pixels, bits = image.pixels, image.bits_stored
    (layers_seconds, lossless_seconds, openjpeg_seconds), (made, lossless, theirs) = least_seconds(
        repeats,
        [
            lambda: codec.encode_layers(pixels, ratios, bits_stored=bits),
            lambda: codec.encode_lossless(pixels, bits_stored=bits),
            lambda: imagecodecs.jpeg2k_encode(
                pixels, level=0, codecformat="j2k", bitspersample=bits, reversible=True, numthreads=1
            ),
        ],
    )
    embedded = codec.encode_layers(pixels, ratios, bits_stored=bits, lossless=True)
    alone = {
        single.ratio: psnr(pixels, cast(np.ndarray, single.reconstruction), bits)
        for single in codec.encode_ladder(pixels, made.ratios, bits_stored=bits)
    }

    def lost(layered: codec.Layered) -> dict[float, float]:
        return {
            ratio: alone[ratio] - psnr(pixels, codec.decode(layered.codestream, layers=number), bits)
            for number, ratio in enumerate(layered.ratios, 1)
        }

    return LayerTrial(
        layers_seconds, lossless_seconds, openjpeg_seconds, len(lossless.codestream), len(embedded.codestream),
        len(theirs), lost(made), lost(embedded),
    )  # fmt: skip
