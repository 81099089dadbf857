"""The cost of quality layers and of lossless coding, in time, bytes and PSNR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import imagecodecs
import numpy as np

import codec
from experiments.codec_benchmark.trials import Image, shortest_times
from mammo_jax.compression.image_quality import psnr
from mammo_jax.ratios import ratio_text


@dataclass(frozen=True)
class LayerTrial:
    """Layered and lossless codestreams of one image, encoded with one thread.

    Attributes
    ----------
    layers_seconds, lossless_seconds, openjpeg_seconds : float
        Time to encode all layers; to encode losslessly; and the same by imagecodecs' OpenJPEG.
    lossless_bytes, embedded_bytes, openjpeg_bytes : int
        Size of the lossless codestream: with one layer, with the ladder as its first layers, and OpenJPEG's.
    loss, loss_embedded : dict
        Ratio → how many dB of PSNR the first layers have less than a separate codestream of the same size: in a lossy
        codestream (9/7 filter), and in a lossless one (5/3 filter).
    """

    layers_seconds: float
    lossless_seconds: float
    openjpeg_seconds: float
    lossless_bytes: int
    embedded_bytes: int
    openjpeg_bytes: int
    loss: dict[float, float]
    loss_embedded: dict[float, float]

    def text(self) -> str:
        """Three lines to print."""

        def listed(losses: dict[float, float]) -> str:
            return ", ".join(f"CR {ratio_text(ratio)} {loss:.2f}" for ratio, loss in losses.items())

        return (
            f"threads 1, in layers of one codestream: {self.layers_seconds:.2f} s; dB less than alone: "
            f"{listed(self.loss)}\n"
            f"threads 1, lossless: {self.lossless_seconds:.2f} s, {self.lossless_bytes} bytes; OpenJPEG "
            f"{self.openjpeg_seconds:.2f} s, {self.openjpeg_bytes} bytes\n"
            f"with the ladder as its first layers {self.embedded_bytes} bytes; dB less than alone: "
            f"{listed(self.loss_embedded)}"
        )


def measure_layers(image: Image, ratios: Sequence[float], repeats: int) -> LayerTrial:
    """Encode an image in layers and losslessly, and measure the quality of each layer.

    Raises
    ------
    codec.LayerError
        The ratios are too close to each other for layers of this image.
    """
    pixels, bits = image.pixels, image.bits_stored
    (layers_seconds, lossless_seconds, openjpeg_seconds), (layered, lossless, openjpeg) = shortest_times(
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
        for single in codec.encode_ladder(pixels, layered.ratios, bits_stored=bits)
    }

    def loss(encoded: codec.Layered) -> dict[float, float]:
        return {
            ratio: alone[ratio] - psnr(pixels, codec.decode(encoded.codestream, layers=number), bits)
            for number, ratio in enumerate(encoded.ratios, 1)
        }

    return LayerTrial(
        layers_seconds, lossless_seconds, openjpeg_seconds, len(lossless.codestream), len(embedded.codestream),
        len(openjpeg), loss(layered), loss(embedded),
    )  # fmt: skip
