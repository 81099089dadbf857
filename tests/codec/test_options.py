import tracemalloc

import numpy as np
import pytest

import codec
from codec.errors import CodestreamError, OptionError
from codec.options import as_bytes, whole_number


@pytest.fixture(scope="module")
def codestream():
    return codec.encode_lossless(np.arange(300, dtype=np.uint16).reshape(20, 15)).codestream


def test_whole_numbers():
    assert whole_number("threads", np.uint8(3), 1) == 3
    with pytest.raises(OptionError, match="threads=0: must be 1 or more"):
        whole_number("threads", 0, 1)
    with pytest.raises(OptionError, match=r"threads=1\.5: must be a whole number"):
        whole_number("threads", 1.5, 1)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_codestreams_in_any_object_that_holds_bytes(codestream, kind):
    np.testing.assert_array_equal(codec.decode(kind(codestream)), codec.decode(codestream))
    assert codec.wrap_jp2(kind(codestream)) == codec.wrap_jp2(codestream)
    assert as_bytes(kind(codestream)) == codestream


def test_every_other_byte_of_a_memoryview():
    assert as_bytes(memoryview(bytes(range(10)))[::2]) == bytes([0, 2, 4, 6, 8])


@pytest.mark.parametrize("nothing", [None, "text", 3, 2**40, 1.5, [255, 79], {}, object()])
@pytest.mark.parametrize("call", [codec.decode, codec.wrap_jp2])
def test_what_holds_no_bytes_is_no_codestream(call, nothing):
    tracemalloc.start()
    try:
        with pytest.raises(CodestreamError, match=f"a codestream is bytes, not {type(nothing).__name__}"):
            call(nothing)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
