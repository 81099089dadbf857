"""The tables of the MQ coder and its contexts (T.800 Tables C.2, D.1 to D.4 and D.7).

Contexts are numbered 0-8 zero coding, 9-13 sign coding, 14-16 magnitude refinement, 17 run length, 18 uniform.
"""

import numpy as np

ZERO_CODING = 0
SIGN_CODING = 9
REFINEMENT = 14
RUN_LENGTH = 17
UNIFORM = 18
CONTEXTS = 19

# Table C.2: Qe, next state after an MPS, next state after an LPS, whether the sense of the MPS is switched.
_STATES = [
    (0x5601, 1, 1, 1), (0x3401, 2, 6, 0), (0x1801, 3, 9, 0), (0x0AC1, 4, 12, 0), (0x0521, 5, 29, 0),
    (0x0221, 38, 33, 0), (0x5601, 7, 6, 1), (0x5401, 8, 14, 0), (0x4801, 9, 14, 0), (0x3801, 10, 14, 0),
    (0x3001, 11, 17, 0), (0x2401, 12, 18, 0), (0x1C01, 13, 20, 0), (0x1601, 29, 21, 0), (0x5601, 15, 14, 1),
    (0x5401, 16, 14, 0), (0x5101, 17, 15, 0), (0x4801, 18, 16, 0), (0x3801, 19, 17, 0), (0x3401, 20, 18, 0),
    (0x3001, 21, 19, 0), (0x2801, 22, 19, 0), (0x2401, 23, 20, 0), (0x2201, 24, 21, 0), (0x1C01, 25, 22, 0),
    (0x1801, 26, 23, 0), (0x1601, 27, 24, 0), (0x1401, 28, 25, 0), (0x1201, 29, 26, 0), (0x1101, 30, 27, 0),
    (0x0AC1, 31, 28, 0), (0x09C1, 32, 29, 0), (0x08A1, 33, 30, 0), (0x0521, 34, 31, 0), (0x0441, 35, 32, 0),
    (0x02A1, 36, 33, 0), (0x0221, 37, 34, 0), (0x0141, 38, 35, 0), (0x0111, 39, 36, 0), (0x0085, 40, 37, 0),
    (0x0049, 41, 38, 0), (0x0025, 42, 39, 0), (0x0015, 43, 40, 0), (0x0009, 44, 41, 0), (0x0005, 45, 42, 0),
    (0x0001, 45, 43, 0), (0x5601, 46, 46, 0),
]  # fmt: skip

QE = np.array([state[0] for state in _STATES], dtype=np.uint16)
NEXT_MPS = np.array([state[1] for state in _STATES], dtype=np.uint8)
NEXT_LPS = np.array([state[2] for state in _STATES], dtype=np.uint8)
SWITCH_MPS = np.array([state[3] for state in _STATES], dtype=np.uint8)

# Table D.7: the state in which each context starts (its MPS is 0).
INITIAL_STATES = np.zeros(CONTEXTS, dtype=np.uint8)
INITIAL_STATES[ZERO_CODING] = 4
INITIAL_STATES[RUN_LENGTH] = 3
INITIAL_STATES[UNIFORM] = 46

# Which columns of Table D.1 a subband uses: an index into ZERO_CODING_CONTEXTS.
ORIENTATION_CLASSES = {"LL": 0, "LH": 0, "HL": 1, "HH": 2}


def _low_pass_context(horizontal: int, vertical: int, diagonal: int) -> int:
    """Table D.1, the columns of LL and LH (of HL with the first two arguments exchanged)."""
    if horizontal == 2:
        return 8
    if horizontal == 1:
        return 7 if vertical else 6 if diagonal else 5
    if vertical:
        return 2 + vertical
    return min(diagonal, 2)


def _diagonal_context(straight: int, diagonal: int) -> int:
    """Table D.1, the columns of HH."""
    if diagonal >= 3:
        return 8
    if diagonal == 2:
        return 7 if straight else 6
    return 3 * diagonal + min(straight, 2)


def _zero_coding_contexts() -> np.ndarray:
    """Table D.1 for every pattern of significant neighbours.

    Returns
    -------
    numpy.ndarray
        uint8 [3, 512]: orientation class; 3 × 3 neighbourhood in raster order: bit 0 north-west, 1 north,
        2 north-east, 3 west, 4 the coefficient itself (ignored), 5 east, 6 south-west, 7 south, 8 south-east.
    """
    table = np.zeros((3, 512), dtype=np.uint8)
    for pattern in range(512):
        bit = [(pattern >> position) & 1 for position in range(9)]
        horizontal, vertical = bit[3] + bit[5], bit[1] + bit[7]
        diagonal = bit[0] + bit[2] + bit[6] + bit[8]
        table[0, pattern] = _low_pass_context(horizontal, vertical, diagonal)
        table[1, pattern] = _low_pass_context(vertical, horizontal, diagonal)
        table[2, pattern] = _diagonal_context(horizontal + vertical, diagonal)
    return table


def _sign_coding_tables() -> tuple[np.ndarray, np.ndarray]:
    """Tables D.2 and D.3 for every pattern of the four straight neighbours.

    Returns
    -------
    contexts, flips : numpy.ndarray
        uint8 [256]: the context (9-13) and the bit to exclusive-or with the sign. Index: bits 1, 3, 5, 7 say that
        the north, west, east, south neighbour is significant (the places these have in the 3 × 3 pattern of
        `ZERO_CODING_CONTEXTS`), bits 0, 2, 4, 6 that it is negative.
    """
    contexts, flips = np.zeros(256, dtype=np.uint8), np.zeros(256, dtype=np.uint8)
    for pattern in range(256):
        north, west, east, south = (
            ((pattern >> (2 * n + 1)) & 1) * (1 - 2 * ((pattern >> (2 * n)) & 1)) for n in range(4)
        )
        horizontal = max(-1, min(1, west + east))
        vertical = max(-1, min(1, north + south))
        flip = horizontal < 0 or (horizontal == 0 and vertical < 0)
        if flip:
            horizontal, vertical = -horizontal, -vertical
        contexts[pattern] = SIGN_CODING + 3 * horizontal + vertical
        flips[pattern] = flip
    return contexts, flips


ZERO_CODING_CONTEXTS = _zero_coding_contexts()
SIGN_CONTEXTS, SIGN_FLIPS = _sign_coding_tables()
