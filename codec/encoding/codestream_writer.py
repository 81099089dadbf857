"""Writing the main header and the tile-part header (T.800 Annex A)."""

import struct

from codec.encoding.quantizer import LOG2_BLOCK_SIDE
from codec.markers import COD, QCD, SIZ, SOC, SOD, SOT, TILE_HEADER_BYTES
from codec.quantization import Quantization

# SOC, SIZ, COD, QCD with derived steps, SOT, SOD and EOC: all of a codestream but its packets.
FIXED_BYTES = 82

MAX_LAYERS = 65535  # A.6.1
SIZ_BYTES = 43  # the whole marker segment, of one component
LAYERS_IN_COD = 6
LRCP = 0


def write_main_header(
    shape: tuple[int, ...], bits_stored: int, levels: int, quantization: Quantization, layers: int = 1
) -> bytes:
    """SOC, SIZ, COD and QCD for one greyscale component of unsigned samples in one tile."""
    rows, columns = shape
    component = (bits_stored - 1, 1, 1)
    siz = struct.pack(">HIIIIIIIIHBBB", 0, columns, rows, 0, 0, columns, rows, 0, 0, 1, *component)
    block = LOG2_BLOCK_SIDE - 2  # Table A.18
    # The last field is the transform (Table A.20): 0 the 9/7 filter, 1 the reversible 5/3 filter.
    cod = struct.pack(">BBHBBBBBB", 0, LRCP, layers, 0, levels, block, block, 0, quantization.reversible)
    qcd = quantization.marker_body()
    return struct.pack(">H", SOC) + _segment(SIZ, siz) + _segment(COD, cod) + _segment(QCD, qcd)


def write_tile_header(packet_bytes: int) -> bytes:
    """SOT and SOD of the only tile-part (A.4.2), which holds `packet_bytes` of packets."""
    return _segment(SOT, struct.pack(">HIBB", 0, TILE_HEADER_BYTES + packet_bytes, 0, 1)) + struct.pack(">H", SOD)


def with_layers(codestream: bytes, layers: int) -> bytes:
    """Replace the number of layers in the COD marker segment of a codestream that this encoder wrote."""
    at = 2 + SIZ_BYTES + LAYERS_IN_COD
    return codestream[:at] + struct.pack(">H", layers) + codestream[at + 2 :]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">HH", marker, len(body) + 2) + body
