"""Tables of Annex C and D against properties that the standard states."""

import numpy as np

from codec import mq_tables


def test_state_table_is_closed_and_ordered():
    assert len(mq_tables.QE) == 47
    assert mq_tables.NEXT_MPS.max() == 46
    assert mq_tables.NEXT_LPS.max() == 46
    assert list(np.flatnonzero(mq_tables.SWITCH_MPS)) == [0, 6, 14]
    assert set(mq_tables.QE[mq_tables.SWITCH_MPS == 1]) == {0x5601}


def test_zero_coding_of_hl_is_lh_transposed():
    for pattern in range(512):
        rows = np.array([(pattern >> bit) & 1 for bit in range(9)]).reshape(3, 3)
        transposed = sum(int(value) << bit for bit, value in enumerate(rows.T.ravel()))
        tables = mq_tables.ZERO_CODING_CONTEXTS
        assert tables[1, pattern] == tables[0, transposed]
        assert tables[2, pattern] == tables[2, transposed]
        assert tables[:, pattern].max() <= 8


def test_sign_coding_of_negated_neighbours_flips():
    for pattern in range(256):
        significant = pattern & 0xAA
        negated = significant | ((significant >> 1) & ~pattern & 0x55)
        if pattern & 0x55 & ~(significant >> 1):
            continue
        assert mq_tables.SIGN_CONTEXTS[pattern] == mq_tables.SIGN_CONTEXTS[negated]
        balanced = mq_tables.SIGN_CONTEXTS[pattern] == 9
        assert (mq_tables.SIGN_FLIPS[pattern] != mq_tables.SIGN_FLIPS[negated]) != balanced
