"""JPEG 2000 (ITU-T T.800 | ISO/IEC 15444-1) for greyscale images at exact compression ratios, in NumPy and Numba."""

from codec.decoding.check import check_codestream
from codec.decoding.decoder import decode
from codec.decoding.inspection import SubbandContents, inspect_codestream
from codec.decoding.jp2_reader import unwrap_jp2
from codec.encoding.encoder import Encoded, encode, encode_ladder
from codec.encoding.jp2_writer import wrap_jp2
from codec.encoding.layers import Layered, encode_layers, encode_lossless
from codec.encoding.shared_slope import divide_bytes
from codec.errors import (
    CodecError,
    CodecWarning,
    CodestreamError,
    DamageWarning,
    InvalidImageError,
    InvalidRatioError,
    LayerError,
    LimitError,
    OptionError,
    TruncatedWarning,
    UnreachableRatioError,
    UnsupportedCodestreamError,
)

__all__ = [
    "CodecError",
    "CodecWarning",
    "CodestreamError",
    "DamageWarning",
    "Encoded",
    "InvalidImageError",
    "InvalidRatioError",
    "LayerError",
    "Layered",
    "LimitError",
    "OptionError",
    "SubbandContents",
    "TruncatedWarning",
    "UnreachableRatioError",
    "UnsupportedCodestreamError",
    "check_codestream",
    "decode",
    "divide_bytes",
    "encode",
    "encode_ladder",
    "encode_layers",
    "encode_lossless",
    "inspect_codestream",
    "unwrap_jp2",
    "wrap_jp2",
]
