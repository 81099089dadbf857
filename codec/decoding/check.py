"""Whether a codestream is whole, by its markers and packet headers."""

from codec.decoding.codestream_reader import WAY_OUT, read_codestream
from codec.decoding.jp2_reader import codestream_of
from codec.decoding.losses import Losses
from codec.decoding.tile_layout import LayoutBudget
from codec.decoding.tile_reader import read_tile
from codec.errors import CodestreamError
from codec.options import whole_number


def check_codestream(codestream: bytes, *, max_pixels: int = 2**28) -> None:
    """Check that a codestream, or the one in a JP2 file, is neither damaged nor ends early.

    Every marker and packet header is read, and no pixel decoded, so that this takes a small part of the time of
    `codec.decode`. It is for those who need a whole image, and for streams that another decoder decodes.

    Parameters
    ----------
    codestream : bytes
        From the SOC marker on, or a JP2 file.
    max_pixels : int
        The largest number of pixels of an image.

    Raises
    ------
    CodestreamError
        It is damaged or ends early; `codec.decode` says what that means. The message says what is missing.
    UnsupportedCodestreamError, LimitError, OptionError
        As `codec.decode`.
    """
    try:
        _check(codestream_of(codestream), whole_number("max_pixels", max_pixels, 0))
    except CodestreamError as error:
        raise CodestreamError(str(error).removesuffix(WAY_OUT)) from None  # who checks does not want what is left


def _check(codestream: bytes, max_pixels: int) -> None:
    parsed = read_codestream(codestream)
    budget = LayoutBudget(max_pixels, len(codestream))
    left, top, right, bottom = parsed.size.component_area()
    budget.check_image(bottom - top, right - left)
    losses = Losses(parsed, strict=True)
    losses.add_absent_tiles(0)
    for tile in parsed.tiles.values():
        x0, y0, x1, y1 = parsed.size.tile_component_area(tile.index)
        if x0 < x1 and y0 < y1 and tile.has_packets:
            _, _, count = read_tile(parsed.size, tile, parsed.parameters(tile), budget)
            losses.add(tile, count)
        elif x0 < x1 and y0 < y1:
            losses.add(tile)
    early = losses.warning()
    if early is not None:
        raise CodestreamError(str(early))
