"""What can go wrong, by name. Every error of the codec is a `CodecError`."""


class CodecError(Exception):
    """Base of every error that the codec raises on purpose."""


class OptionError(CodecError, ValueError):
    """An option that is no number of its kind, as ``threads=0``; the message names it."""


class InvalidRatioError(CodecError, ValueError):
    """The ratio asked for is not a finite number above 0, or means more bytes than a codestream can have."""


class UnreachableRatioError(CodecError, ValueError):
    """Even an empty codestream is longer than the target; `largest_ratio` is the most that can be had."""

    def __init__(self, message: str, largest_ratio: float):
        super().__init__(message)
        self.largest_ratio = largest_ratio

    def __reduce__(self) -> tuple:
        """Let it be raised in another process."""
        return type(self), (str(self), self.largest_ratio)


class LayerError(CodecError, ValueError):
    """Layers that cannot be had as asked for: a ratio twice, more bytes than the image can fill, or too few more."""


class InvalidImageError(CodecError, ValueError):
    """The pixels cannot be coded: wrong dtype or shape, or a value that needs more than `bits_stored` bits."""


class CodestreamError(CodecError, ValueError):
    """The bytes are no well-formed JPEG 2000 codestream."""


class UnsupportedCodestreamError(CodecError):
    """A valid codestream that uses something we do not decode; the message names it."""


class LimitError(CodecError):
    """The codestream's header asks for more memory than the caller allows."""
