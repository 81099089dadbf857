"""Codestreams of several quality layers (T.800 B.9): one that holds an image at every ratio of a ladder; lossless ones.

The packets of the first n layers, with the headers before and EOC after them, have exactly the length of the n-th
ratio. A layer adds the next bytes of the codewords of its code-blocks, and nothing else. Only the last layer may have
filler too, where all coded data are used.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from codec import ratio as compression_ratio
from codec.encoding.coded_image import CodedImage, code_irreversibly, code_reversibly
from codec.encoding.codestream_writer import FIXED_BYTES, MAX_LAYERS, with_layers, write_main_header, write_tile_header
from codec.encoding.codeword_segments import shortest_prefix
from codec.encoding.decomposition import decomposition_levels
from codec.encoding.encoder import Encoded, checked_image, unreachable
from codec.encoding.packet_division import count_packets
from codec.encoding.packet_header_writer import nothing_signalled
from codec.encoding.packet_writer import LayerPlan, codewords_of, whole_codeword, write_packets
from codec.encoding.padding import Filling
from codec.encoding.quantizer import derived_quantization, reversible_quantization
from codec.encoding.rate_control import RateControl, bytes_of_layer
from codec.errors import LayerError
from codec.jit import kernel
from codec.markers import EOC, SOT, TILE_HEADER_BYTES
from codec.subbands import subband_shapes
from codec.workers import Workers

END = EOC.to_bytes(2)
MAX_SHOWN_LAYERS = 8


@dataclass(frozen=True)
class Layered:
    """One codestream of several layers, with its ratios and lengths.

    Attributes
    ----------
    codestream : bytes
    ratios : tuple of float
        Compression ratios of the layers, the largest first; a lossless last layer has none.
    layer_bytes : tuple of int
        For every layer the length of the codestream that ends with it, headers and EOC included: ``floor(uncompressed
        bytes / ratio)``, or for a lossless layer as many as it needs.
    header_bytes : tuple of int
        For every layer the marker segments and packet headers up to its end.
    padding_bytes : tuple of int
        For every layer the filler in it: only in the last one, where all coded data are used before its end.
    rows, columns, bits_allocated, bits_stored : int
        Of the image.
    lossless : bool
        Whether all layers together give every pixel back.
    """

    codestream: bytes
    ratios: tuple[float, ...]
    layer_bytes: tuple[int, ...]
    header_bytes: tuple[int, ...]
    padding_bytes: tuple[int, ...]
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    lossless: bool

    def __repr__(self) -> str:
        layers = [f"ratio {compression_ratio.ratio_text(ratio)}" for ratio in self.ratios]
        layers += ["lossless"] if self.lossless else []
        if len(layers) > MAX_SHOWN_LAYERS:
            layers[1:-1] = ["…"]
        return (
            f"Layered({len(self.codestream)} bytes, layers: {', '.join(layers)}; {self.rows} × {self.columns} pixels of"
            f" {self.bits_stored} bits in {self.bits_allocated}, {sum(self.padding_bytes)} bytes of padding)"
        )

    def first_layers(self, count: int) -> bytes:
        """Cut the codestream of the first `count` layers alone, ``layer_bytes[count - 1]`` long."""
        tile = self.codestream.index(SOT.to_bytes(2))
        packets = self.codestream[tile + TILE_HEADER_BYTES : self.layer_bytes[count - 1] - len(END)]
        return with_layers(self.codestream[:tile], count) + write_tile_header(len(packets)) + packets + END


def encode_layers(
    pixels: np.ndarray,
    ratios: Iterable[float],
    *,
    bits_stored: int | None = None,
    reference: str = "allocated",
    lossless: bool = False,
    threads: int = 1,
) -> Layered:
    """Compress an image to one codestream whose quality layers are several compression ratios.

    A decoder of the first n layers (``opj_decompress -l n``, glymur's ``layer``, ``codec.decode(..., layers=n)``)
    gives the image at the n-th largest ratio.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 or uint16, of any byte order, [rows, columns].
    ratios : iterable of float
        Compression ratios, each once, in any order.
    bits_stored : int, optional
        Bits of a pixel that hold its value, 1 to 16; by default all that are allocated.
    reference : {"allocated", "stored"}
        Which bits of a pixel the uncompressed size counts.
    lossless : bool
        Add a last layer with all remaining passes, so that every pixel comes back. The transform is then the
        5/3 filter, whose quality at the same size is lower than that of the 9/7 filter.
    threads : int
        How many threads code blocks at the same time.

    Raises
    ------
    InvalidImageError, InvalidRatioError, UnreachableRatioError, OptionError
        As `codec.encode`.
    LayerError
        A ratio twice or none; a layer that is not longer than the one before by at least its packet headers; a layer
        other than the last one for which there are not enough coded data.
    """
    workers = Workers(threads)
    pixels, bits = checked_image(pixels, bits_stored)
    rows, columns = pixels.shape
    targets, levels = _checked_layers(pixels, list(ratios), bits, reference, lossless)
    with workers:
        if lossless:
            image = code_reversibly(pixels, bits, levels, workers)
        else:
            image, _ = code_irreversibly(pixels, bits, levels, targets[-1][1] - FIXED_BYTES, workers)
    main_header = write_main_header(image.shape, bits, levels, image.quantization, len(targets) + lossless)
    layers = _LayerWriter(image, len(main_header) + TILE_HEADER_BYTES + len(END))
    for number, (ratio, target) in enumerate(targets, 1):
        layers.add(ratio, target, last=number == len(targets) and not lossless)
    if lossless:
        layers.add_rest()
    packets = b"".join(layers.packets)
    return Layered(
        codestream=main_header + write_tile_header(len(packets)) + packets + END,
        ratios=tuple(ratio for ratio, _ in targets),
        layer_bytes=tuple(layers.ends),
        header_bytes=tuple(layers.headers),
        padding_bytes=tuple(layers.padding),
        rows=rows,
        columns=columns,
        bits_allocated=8 * pixels.itemsize,
        bits_stored=bits,
        lossless=lossless,
    )


def _checked_layers(
    pixels: np.ndarray, ratios: list[float], bits: int, reference: str, lossless: bool
) -> tuple[list[tuple[float, int]], int]:
    """Ratio and target bytes of each layer, shortest first, and the levels; errors as of `encode_layers`."""
    if not (ratios or lossless) or len(ratios) > MAX_LAYERS - lossless:
        raise LayerError(f"{len(ratios)} layers: from 1 to {MAX_LAYERS} are possible")
    rows, columns = pixels.shape
    uncompressed = compression_ratio.image_bytes(pixels, bits, reference)
    targets = [(ratio, compression_ratio.target_bytes(uncompressed, ratio)) for ratio in ratios]
    targets.sort(key=lambda layer: compression_ratio.exact_ratio(layer[0]), reverse=True)
    default_levels = decomposition_levels(rows, columns, bits)
    if not targets:
        return targets, default_levels
    ratio, first = targets[0]
    levels = decomposition_levels(rows, columns, bits, first - FIXED_BYTES)
    if first < _smallest(pixels, bits, levels, lossless)[0]:
        levels = default_levels
    smallest, packets = _smallest(pixels, bits, levels, lossless)
    if first < smallest:
        raise unreachable(ratio, first, smallest, uncompressed, pixels.shape)
    for (ratio, before), (smaller, target) in zip(targets, targets[1:]):
        if compression_ratio.exact_ratio(ratio) == compression_ratio.exact_ratio(smaller):
            raise LayerError(f"ratio {compression_ratio.ratio_text(ratio)} is given twice", ratio)
        if target < before + packets:
            largest = compression_ratio.max_ratio(uncompressed, before + packets)
            raise LayerError(
                f"ratio {compression_ratio.ratio_text(smaller)} means {target} bytes, but the layers of larger ratios"
                f" and the headers of this one take {before + packets} bytes: the largest ratio for it is"
                f" {compression_ratio.text_below(largest)}",
                smaller,
                largest,
            )
    return targets, levels


def _smallest(pixels: np.ndarray, bits: int, levels: int, lossless: bool) -> tuple[int, int]:
    """Length of a codestream of one layer with empty packets, and the number of these packets."""
    rows, columns = pixels.shape
    quantization = reversible_quantization(bits, levels) if lossless else derived_quantization(bits, levels)
    packets = count_packets(subband_shapes(rows, columns, levels))
    return len(write_main_header(pixels.shape, bits, levels, quantization)) + TILE_HEADER_BYTES + len(
        END
    ) + packets, packets


def encode_lossless(pixels: np.ndarray, *, bits_stored: int | None = None, threads: int = 1) -> Encoded:
    """Compress an image so that every pixel comes back, to whatever size that needs (5/3 filter, one layer).

    Parameters and errors are those of `codec.encode`; the result's `ratio` counts the bits allocated.
    """
    layered = encode_layers(pixels, (), bits_stored=bits_stored, lossless=True, threads=threads)
    return Encoded(
        codestream=layered.codestream,
        ratio=compression_ratio.ratio_of(pixels.nbytes, len(layered.codestream)),
        rows=layered.rows,
        columns=layered.columns,
        bits_allocated=layered.bits_allocated,
        bits_stored=layered.bits_stored,
        target_bytes=len(layered.codestream),
        header_bytes=layered.header_bytes[0],
        padding_bytes=0,
    )


class _LayerWriter:
    """Writes the packets layer by layer.

    Attributes
    ----------
    packets : list of bytes
        Those of each layer.
    ends, headers, padding : list of int
        `Layered.layer_bytes`, `Layered.header_bytes` and `Layered.padding_bytes`.
    """

    def __init__(self, image: CodedImage, fixed_bytes: int):
        self._words = codewords_of(image.blocks)
        _use_prefix_lengths(self._words)
        self._control = RateControl(image.blocks, image.packets)
        self._signalled = nothing_signalled(image.packets, len(image.blocks.passes), image.blocks.passes > 0)
        self._fixed_bytes = fixed_bytes
        self.packets: list[bytes] = []
        self.ends: list[int] = []
        self.headers: list[int] = []
        self.padding: list[int] = []

    def add(self, ratio: float, target: int, last: bool) -> None:
        """Add a layer that ends where the codestream is `target` bytes long; the `last` one may take filler."""
        before = self.ends[-1] if self.ends else self._fixed_bytes
        try:
            allocation = self._control.allocate(target - before, self._signalled, len(self.packets), filler=last)
        except LayerError as error:
            text = compression_ratio.ratio_text(ratio)
            raise LayerError(f"the layer of ratio {text} cannot be {target} bytes long: {error}", ratio) from None
        self._write(allocation.plan, allocation.filling)

    def add_rest(self) -> None:
        """Add a layer with all remaining passes."""
        self._write(self._control.allocate_rest(self._signalled, len(self.packets)), Filling())

    def _write(self, plan: LayerPlan, filling: Filling) -> None:
        size = bytes_of_layer(plan)
        packets = np.empty(size, np.uint8)
        write_packets(plan, self._words, filling.blank, packets)
        self.packets.append(packets.tobytes())
        self.ends.append((self.ends[-1] if self.ends else self._fixed_bytes) + size)
        self.headers.append((self.headers[-1] if self.headers else self._fixed_bytes) + int(plan.headers.sum()))
        self.padding.append(filling.padding)


@kernel
def _use_prefix_lengths(words):
    """Replace `lengths` by the bytes of the whole codeword that each pass needs, as later layers continue it."""
    for block in range(words.passes.size):
        if words.passes[block] > 0:
            codeword, packed, bp, total = whole_codeword(words, block)
            for n in range(words.passes[block]):
                words.lengths[block, n] = shortest_prefix(
                    codeword, packed, bp, total, words.registers[block, n], words.ends[block, n]
                )
