"""Checks of integer options."""

import operator
from typing import Any

from codec.errors import OptionError


def whole_number(name: str, value: Any, minimum: int) -> int:
    """The option `name` as an int; `OptionError` where it is no whole number or below `minimum`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise OptionError(f"{name}={value!r}: must be a whole number") from None
    if number < minimum:
        raise OptionError(f"{name}={number}: must be {minimum} or more")
    return number
