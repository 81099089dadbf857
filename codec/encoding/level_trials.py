"""Choosing the number of decomposition levels for a few hundred bytes by trying.

A level more replaces the LL subband by four; all other subbands and their coding are taken over. The errors are
compared in the LL subband of the last level that all trials have, as rarely any bytes are left for finer subbands.
"""

import numpy as np

from codec.encoding.coded_image import CodedImage, code_subbands, code_with_other_levels
from codec.encoding.decomposition import decomposition_levels, max_levels
from codec.encoding.forward_97 import forward_97
from codec.encoding.quantizer import subband_norms, subband_steps
from codec.encoding.rate_control import Allocation, RateControl
from codec.encoding.reconstruction import reconstruct_low_pass
from codec.workers import Workers

# How many levels more or less than usual are tried for fewer bytes of packets than that. Over 30 mini-MIAS images, four
# of 12 bits and ten phantoms the best number of levels was always among these, and at 1000 bytes it gained less than
# 0.07 dB.
TRIALS = ((64, range(-2, 5)), (1024, range(-1, 2)))
MIN_EXTRA_LEVELS = min(min(extra) for _, extra in TRIALS)


class LevelTrials:
    """An image that is coded with the usual number of levels, and with others where few bytes are wanted.

    Parameters
    ----------
    pixels : numpy.ndarray
    bits : int
        Bits stored.
    packet_bytes : int
        The largest number that `best` will be asked for.
    workers : Workers
    """

    def __init__(self, pixels: np.ndarray, bits: int, packet_bytes: int, workers: Workers):
        self._workers = workers
        rows, columns = pixels.shape
        self._usual = decomposition_levels(rows, columns, bits)
        self._common = max(self._usual + MIN_EXTRA_LEVELS, 0)
        low, *bands = forward_97(pixels, self._common, 1 << (bits - 1), workers)
        self._low = {self._common: low}
        for level in range(self._common + 1, self._usual + 1):
            bands = [*self._split(level), *bands]
        bands = [self._low[self._usual].copy(), *bands]
        self._coded = {self._usual: code_subbands(pixels, bits, bands, packet_bytes, workers)}

    def drop_fractions(self) -> None:
        """As of `CodedBlocks`, once all is coded that is the same for every number of bytes."""
        self._coded[self._usual][0].blocks.drop_fractions()

    def best(self, packet_bytes: int) -> tuple[CodedImage, Allocation]:
        """The image with the number of levels that shows it best in so many bytes of packets."""
        image, control = self._coded[self._usual]
        best = image, control.allocate(packet_bytes)
        others = next((others for bytes_below, others in TRIALS if packet_bytes < bytes_below), None)
        if others is None or best[1].filling.padding:
            return best
        smallest_error = self._error(*best)
        most = max_levels(*image.shape, image.bits_stored)
        for more in others:
            levels = self._usual + more
            enough = len(image.packets) + more <= packet_bytes
            if more == 0 or not self._common <= levels <= most or not enough:
                continue
            image_of_trial, control = self._with_levels(levels)
            trial = image_of_trial, control.allocate(packet_bytes)
            error = self._error(*trial)
            if error < smallest_error:
                best, smallest_error = trial, error
        return best

    def _split(self, level: int) -> list[np.ndarray]:
        """Transform the LL subband of the level before; keeps the LL subband and returns the others."""
        self._low[level], *others = forward_97(self._low[level - 1], 1, 0, self._workers)
        return others

    def _with_levels(self, levels: int) -> tuple[CodedImage, RateControl]:
        """Code only what is not in an image with one level less, or with the usual levels."""
        if levels not in self._coded:
            more = levels > self._usual
            source, _ = self._with_levels(levels - 1 if more else self._usual)
            others = self._split(levels) if more else []
            coarse = [self._low[levels].copy(), *others]
            self._coded[levels] = code_with_other_levels(source, coarse, levels, self._workers)
        return self._coded[levels]

    def _error(self, image: CodedImage, allocation: Allocation) -> float:
        """Squared error of the image, less a constant.

        Black and white are limits in the LL subband too. Without them the black around a breast misleads the choice.
        """
        passes = allocation.whole_passes
        steps = subband_steps(image.quantization, image.bits_stored, image.levels)
        low = reconstruct_low_pass(image.blocks, steps, passes, self._common, self._workers)
        half = 1 << (image.bits_stored - 1)
        difference = np.clip(low, -half, half - 1).astype(np.float64) - self._low[self._common]
        fine = np.flatnonzero((image.blocks.subband >= len(steps) - 3 * self._common) & (passes > 0))
        gained = image.blocks.gains[fine, passes[fine] - 1].sum()
        return float(subband_norms(self._common)[0] ** 2 * np.sum(difference**2) - gained)
