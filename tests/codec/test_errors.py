import pickle

import pytest

from codec import (
    CodecError,
    CodecWarning,
    DamageWarning,
    InvalidRatioError,
    LayerError,
    TruncatedWarning,
    UnreachableRatioError,
)


@pytest.mark.parametrize(
    "error",
    [
        UnreachableRatioError("at most 12", 12.5),
        InvalidRatioError("no ratio"),
        InvalidRatioError("at least 12", 12.5),
        LayerError("no layers"),
        LayerError("at most 12", 13.5, 12.5),
    ],
)
def test_an_error_can_be_raised_in_another_process(error):
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert isinstance(copy, CodecError)
    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))


@pytest.mark.parametrize("warning", [DamageWarning("lost", (1, 4), {0: (2, 6)}), TruncatedWarning("early")])
def test_a_warning_can_come_from_another_process(warning):
    copy = pickle.loads(pickle.dumps(warning))  # noqa: S301  # our own bytes
    assert isinstance(copy, CodecWarning)
    assert type(copy) is type(warning)
    assert (str(copy), vars(copy)) == (str(warning), vars(warning))
