"""Checks of options that are whole numbers."""

import operator
from typing import Any

from codec.errors import OptionError


def whole_number(name: str, value: Any, least: int) -> int:
    """Give the option `name` as an int; `OptionError` where it is no whole number, or is below `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise OptionError(f"{name}={value!r}: must be a whole number") from None
    if number < least:
        raise OptionError(f"{name}={number}: must be {least} or more")
    return number
