"""The base of every error that the user can mend."""

from __future__ import annotations


class UserError(Exception):
    """An error in what the user gave: the message names the file or field, and says what to do.

    Jobs end with its message alone. Anything else is a fault of this package, and keeps its traceback.
    """
