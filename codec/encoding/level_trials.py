"""Choosing the number of decomposition levels for a few hundred bytes by trying.

The trials share the finest subbands and their coding. They differ in the LL subband of a level that all of them have,
which is small. There too their errors are compared, as rarely any bytes are left for finer subbands.
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
FEWEST = -2


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
        self._shared = max(self._usual + FEWEST, 0)
        self._low, *finest = forward_97(pixels, self._shared, 1 << (bits - 1), workers)
        usual = code_subbands(pixels, bits, [*self._coarse(self._usual), *finest], packet_bytes, workers)
        self._coded = {self._usual: usual}

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
            if more == 0 or not self._shared <= levels <= most or not enough:
                continue
            image_of_trial, control = self._with_levels(levels)
            trial = image_of_trial, control.allocate(packet_bytes)
            error = self._error(*trial)
            if error < smallest_error:
                best, smallest_error = trial, error
        return best

    def _coarse(self, levels: int) -> list[np.ndarray]:
        """Subbands of the levels that are not shared."""
        return forward_97(self._low, levels - self._shared, 0, self._workers)

    def _with_levels(self, levels: int) -> tuple[CodedImage, RateControl]:
        if levels not in self._coded:
            usual, _ = self._coded[self._usual]
            self._coded[levels] = code_with_other_levels(usual, self._coarse(levels), levels, self._workers)
        return self._coded[levels]

    def _error(self, image: CodedImage, allocation: Allocation) -> float:
        """Squared error of the image, less a constant.

        Black and white are limits in the LL subband too. Without them the black around a breast misleads the choice.
        """
        passes = allocation.whole_passes
        steps = subband_steps(image.quantization, image.bits_stored, image.levels)
        low = reconstruct_low_pass(image.blocks, steps, passes, self._shared, self._workers)
        half = 1 << (image.bits_stored - 1)
        difference = np.clip(low, -half, half - 1).astype(np.float64) - self._low
        fine = np.flatnonzero((image.blocks.subband >= len(steps) - 3 * self._shared) & (passes > 0))
        gained = image.blocks.gains[fine, passes[fine] - 1].sum()
        return float(subband_norms(self._shared)[0] ** 2 * np.sum(difference**2) - gained)
