import pickle

from codec import CodecError, UnreachableRatioError


def test_an_error_can_be_raised_in_another_process():
    error = pickle.loads(pickle.dumps(UnreachableRatioError("at most 12", 12.5)))  # noqa: S301  # our own bytes
    assert isinstance(error, CodecError)
    assert (str(error), error.largest_ratio) == ("at most 12", 12.5)
