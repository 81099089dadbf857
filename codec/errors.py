"""The codec's errors, every one a `CodecError`, and its warnings, every one a `CodecWarning`."""


class CodecError(Exception):
    """Base of every error that the codec raises on purpose."""


class OptionError(CodecError, ValueError):
    """An option has no valid value, as ``threads=0``; the message names it."""


class InvalidRatioError(CodecError, ValueError):
    """The ratio is not a finite number above 0, or means more bytes than a codestream can have.

    Attributes
    ----------
    smallest_ratio : float or None
        In the second case the smallest ratio that the image can have; None in the first.
    """

    def __init__(self, message: str, smallest_ratio: float | None = None):
        super().__init__(message)
        self.smallest_ratio = smallest_ratio


class UnreachableRatioError(CodecError, ValueError):
    """Even a codestream with empty packets is longer than the target; `largest_ratio` is the largest possible ratio."""

    def __init__(self, message: str, largest_ratio: float):
        super().__init__(message)
        self.largest_ratio = largest_ratio

    def __reduce__(self) -> tuple:
        """Make the error picklable, so that it can come from another process."""
        return type(self), (str(self), self.largest_ratio)


class LayerError(CodecError, ValueError):
    """The layers are not possible: a ratio twice, more bytes than there are coded data, or too few bytes in a layer.

    Attributes
    ----------
    ratio : float or None
        The ratio that cannot have a layer; None where the number of layers is the reason.
    largest_ratio : float or None
        The largest ratio that its layer can have instead. None where it is to be left out: given twice, or all coded
        data are used before its end.
    """

    def __init__(self, message: str, ratio: float | None = None, largest_ratio: float | None = None):
        super().__init__(message)
        self.ratio, self.largest_ratio = ratio, largest_ratio


class InvalidImageError(CodecError, ValueError):
    """The pixels cannot be coded: wrong dtype or shape, or a value of more than `bits_stored` bits."""


class CodestreamError(CodecError, ValueError):
    """The bytes are no well-formed JPEG 2000 codestream."""


class UnsupportedCodestreamError(CodecError):
    """A valid codestream with a feature that this decoder does not have; the message names it."""


class LimitError(CodecError):
    """The codestream's headers need more memory than the caller allows."""


class CodecWarning(UserWarning):
    """An image was decoded, but its codestream lacks some of the packets that its headers signal.

    Attributes
    ----------
    lost_tiles : tuple of int
        Indices of the tiles of which nothing was read: they are mid-grey.
    packets : dict of int to tuple of int
        By the index of each tile of which a part was read: how many packets that was, and how many are signalled. Only
        packets that were asked for count.
    """

    def __init__(
        self, message: str, lost_tiles: tuple[int, ...] = (), packets: dict[int, tuple[int, int]] | None = None
    ):
        super().__init__(message)
        self.lost_tiles, self.packets = lost_tiles, packets or {}

    def __reduce__(self) -> tuple:
        """Make the warning picklable, so that it can come from another process."""
        return type(self), (str(self), self.lost_tiles, self.packets)


class TruncatedWarning(CodecWarning):
    """The codestream ends early: all of it is well-formed up to its end, and the rest is missing."""


class DamageWarning(CodecWarning):
    """The codestream is damaged, and ``strict=False`` let it be decoded all the same."""
