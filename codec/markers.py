"""The markers of a codestream (T.800 Table A.2), and how the fields of their segments are read."""

import struct

from codec.errors import CodestreamError

SOC, SOT, SOD, EOC = 0xFF4F, 0xFF90, 0xFF93, 0xFFD9
SIZ, CAP = 0xFF51, 0xFF50
COD, COC, RGN, QCD, QCC, POC = 0xFF52, 0xFF53, 0xFF5E, 0xFF5C, 0xFF5D, 0xFF5F
PPM, PPT = 0xFF60, 0xFF61
SOP, EPH = 0xFF91, 0xFF92

SOT_BYTES = 12  # the whole marker segment (A.4.2)
TILE_HEADER_BYTES = SOT_BYTES + 2  # the shortest tile-part header: SOT and SOD
SOP_BYTES = 6  # the whole marker segment (A.8.1)
EPH_BYTES = 2


def unpack_fields(layout: str, body: bytes, offset: int, marker: str) -> tuple:
    """Read big-endian fields, as `struct.unpack_from` does, or raise `CodestreamError` naming the marker segment."""
    try:
        return struct.unpack_from(">" + layout, body, offset)
    except struct.error:
        raise CodestreamError(f"the {marker} marker segment is too short ({len(body)} bytes)") from None
