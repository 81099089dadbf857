"""The state of a code-block while its coding passes are decoded (T.800 Annex D).

The state is held twice. Bitmaps say which coefficients a pass visits: 16 columns of a stripe are one word, with bit
4 × column + row, so that the lowest bit is the next coefficient of the scan (D.1). Words of neighbours give contexts:
for 16 rows of a column, and the rows above and below them, there are three bits a row, the significance of the
coefficients to the left, in the column and to the right. Shifted right by three times the row, such a word begins with
the 3 × 3 pattern that is the index of `codec.mq_tables.ZERO_CODING_CONTEXTS`. Words of signs have the same layout.

Coefficients are stored as sign and magnitude. Magnitudes are stored times two, with the bit below the last decoded one
set: the middle of the known interval (E.1.1.2 with r = 1/2).
"""

from typing import NamedTuple

import numpy as np

from codec.decoding.mq_decoder import SLOTS
from codec.jit import kernel
from codec.mq_tables import CONTEXTS

MAX_BLOCK_SAMPLES = 4096  # also enough words for the state of any code-block (A.6.1 limits both)
STRIPE_ROWS, GROUP_COLUMNS = 4, 16
WORD_ROWS = 16
SIGN_BIT = 31  # of a coefficient


class Workspace(NamedTuple):
    """Arrays that one task uses for all its code-blocks.

    Attributes
    ----------
    coefficients : numpy.ndarray
        uint32, the sign in bit `SIGN_BIT`.
    significant, coded, refined : numpy.ndarray
        uint64, bitmaps of the coefficients that are significant, that were coded in this bit-plane's significance pass,
        and that have been refined; with a word of zeros around them on every side.
    neighbours, signs : numpy.ndarray
        int64, words of neighbours and of signs, with one around them on every side.
    contexts, mq, words : numpy.ndarray
        int64: contexts, state and words of the segment as in `codec.decoding.mq_decoder`.
    """

    coefficients: np.ndarray
    significant: np.ndarray
    coded: np.ndarray
    refined: np.ndarray
    neighbours: np.ndarray
    signs: np.ndarray
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
        np.empty(MAX_BLOCK_SAMPLES, np.uint32),
        np.empty(MAX_BLOCK_SAMPLES, np.uint64),
        np.empty(MAX_BLOCK_SAMPLES, np.uint64),
        np.empty(MAX_BLOCK_SAMPLES, np.uint64),
        np.empty(MAX_BLOCK_SAMPLES, np.int64),
        np.empty(MAX_BLOCK_SAMPLES, np.int64),
        np.empty(CONTEXTS, np.int64),
        np.empty(SLOTS, np.int64),
        np.empty(words, np.int64),
    )


@kernel
def clear_state(work, width, height):
    """Set everything to zero before the first pass of a code-block."""
    work.coefficients[: width * height] = 0
    bitmaps = ((height + STRIPE_ROWS - 1) // STRIPE_ROWS + 2) * bitmap_stride(width)
    work.significant[:bitmaps] = 0
    work.coded[:bitmaps] = 0
    work.refined[:bitmaps] = 0
    words = ((height + WORD_ROWS - 1) // WORD_ROWS + 2) * (width + 2)
    work.neighbours[:words] = 0
    work.signs[:words] = 0


@kernel
def bitmap_stride(width):
    """Words of a bitmap from one stripe to the next."""
    return (width + GROUP_COLUMNS - 1) // GROUP_COLUMNS + 2


@kernel
def with_words(work, words):
    """The same workspace for longer codeword segments."""
    return Workspace(
        work.coefficients,
        work.significant,
        work.coded,
        work.refined,
        work.neighbours,
        work.signs,
        work.contexts,
        work.mq,
        np.empty(words, np.int64),
    )
