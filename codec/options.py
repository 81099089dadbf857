"""Checks of arguments: integer options, and codestreams that are given as bytes."""

import operator
from typing import Any

from codec.errors import CodestreamError, OptionError


def whole_number(name: str, value: Any, minimum: int) -> int:
    """The option `name` as an int; `OptionError` where it is no whole number or below `minimum`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise OptionError(f"{name}={value!r}: must be a whole number") from None
    if number < minimum:
        raise OptionError(f"{name}={number}: must be {minimum} or more")
    return number


def as_bytes(codestream: Any) -> bytes:
    """The bytes of an object that holds some, as bytearray, memoryview or an array; `CodestreamError` for any other."""
    if isinstance(codestream, bytes):
        return codestream
    try:
        return memoryview(codestream).tobytes()
    except TypeError:
        # Not `bytes(codestream)`: of an integer that is as many zeros.
        raise CodestreamError(f"a codestream is bytes, not {type(codestream).__name__}") from None
