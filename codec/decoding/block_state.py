"""The state of a code-block while its coding passes are decoded (T.800 Annex D).

The state of a code-block is one word for every column of a stripe of four rows. Bits 0-17 are the significance of the
3 × 6 coefficients in and around the column, three to a row. From bit 18 on each row has three more flags: negative
(rows -1 to 4 of the stripe), and for rows 0 to 3 "coded in this bit-plane's significance pass" and "refined before".
Shifted right by three times the row, a word has the same layout for each coefficient; that is the index of the tables.

Magnitudes are stored times two, with the bit below the last decoded one set: the middle of the known interval (E.1.1.2
with r = 1/2).
"""

from typing import NamedTuple

import numpy as np

from codec.decoding.mq_decoder import SLOTS
from codec.jit import kernel
from codec.mq_tables import CONTEXTS

MAX_BLOCK_SAMPLES = 4096  # also enough words for the state of any code-block (A.6.1 limits both)

# Bits of a word, as seen by row 0.
SELF, NEIGHBOURS, ANY = 1 << 4, 0x1EF, 0x3FFFF
CODED, REFINED = 1 << 19, 1 << 20
ALL_CODED = CODED | CODED << 3 | CODED << 6 | CODED << 9
FOUR_ROWS = 0o1111
ALL_SELF = SELF * FOUR_ROWS


class Workspace(NamedTuple):
    """Arrays that one task uses for all its code-blocks.

    Attributes
    ----------
    coefficients : numpy.ndarray
        int32.
    flags, contexts, mq, words : numpy.ndarray
        int64: the state of columns; contexts, state and words of the segment as in `codec.decoding.mq_decoder`.
    """

    coefficients: np.ndarray
    flags: np.ndarray
    contexts: np.ndarray
    mq: np.ndarray
    words: np.ndarray


class SubbandCoding(NamedTuple):
    """How the code-blocks of a subband are coded.

    Attributes
    ----------
    x0, y0 : int
        The subband's upper left corner.
    block_width, block_height : int
        Exponents of two.
    planes : int
        Number of bit-planes of the subband, the region-of-interest shift included (equations E-2 and H-1).
    roi_shift : int
        The shift of RGN (H.1), 0 for none.
    block_style : int
        Code-block style (Table A.19).
    zero_coding : numpy.ndarray
        uint8 [512]: the subband's row of `codec.mq_tables.ZERO_CODING_CONTEXTS`.
    half_step : numpy.float32
        Half the quantisation step.
    reversible : bool
        Whether coefficients are integers, without a step.
    """

    x0: int
    y0: int
    block_width: int
    block_height: int
    planes: int
    roi_shift: int
    block_style: int
    zero_coding: np.ndarray
    half_step: np.float32
    reversible: bool


@kernel
def new_workspace(words):
    """Create a workspace for codeword segments of so many words."""
    return Workspace(
        np.empty(MAX_BLOCK_SAMPLES, np.int32),
        np.empty(MAX_BLOCK_SAMPLES, np.int64),
        np.empty(CONTEXTS, np.int64),
        np.empty(SLOTS, np.int64),
        np.empty(words, np.int64),
    )
