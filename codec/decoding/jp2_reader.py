"""Reading a JP2 file: the codestream in its boxes (T.800 Annex I)."""

from collections.abc import Iterator

from codec.errors import CodestreamError, UnsupportedCodestreamError
from codec.options import as_bytes

SIGNATURE = bytes.fromhex("0000000c6a5020200d0a870a")


def codestream_of(file: bytes) -> bytes:
    """The codestream in a JP2 file, or `file` itself where it is none."""
    file = as_bytes(file)
    return unwrap_jp2(file) if file.startswith(SIGNATURE) else file


def unwrap_jp2(file: bytes) -> bytes:
    """The codestream in a JP2 file: the contents of its first contiguous codestream box (I.5.4).

    Raises
    ------
    CodestreamError
        The file has no codestream, or is no JP2 file.
    UnsupportedCodestreamError
        The samples are indices into a palette of colours (I.5.3.4).
    """
    file = as_bytes(file)
    if not file.startswith(SIGNATURE):
        raise CodestreamError("no JP2 file: it does not begin with the JPEG 2000 signature box")
    for kind, contents in _boxes(file):
        if kind == b"jp2h" and any(inner == b"pclr" for inner, _ in _boxes(contents)):
            raise UnsupportedCodestreamError("a JP2 file with a palette: only grey levels are decoded")
        if kind == b"jp2c":
            return contents
    raise CodestreamError("the JP2 file holds no codestream")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and contents of consecutive boxes (I.4), up to the first impossible length."""
    position = 0
    while position + 8 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        start = position + 8
        if length == 1:  # an XLBox of eight bytes holds the length
            length = int.from_bytes(data[position + 8 : position + 16])
            start = position + 16
        end = len(data) if length == 0 else position + length
        if end < start:
            return
        yield kind, data[start:end]
        position = end
