"""Exact-ratio JPEG 2000 (ITU-T T.800 | ISO/IEC 15444-1) for greyscale images, in numpy and numba."""

from codec.decoder import decode
from codec.encoder import Encoded, encode, encode_ladder
from codec.errors import (
    CodecError,
    CodestreamError,
    InvalidImageError,
    InvalidRatioError,
    LayerError,
    LimitError,
    OptionError,
    UnreachableRatioError,
    UnsupportedCodestreamError,
)
from codec.jp2 import unwrap_jp2, wrap_jp2
from codec.layers import Layered, encode_layers, encode_lossless

__all__ = [
    "CodecError",
    "CodestreamError",
    "Encoded",
    "InvalidImageError",
    "InvalidRatioError",
    "LayerError",
    "Layered",
    "LimitError",
    "OptionError",
    "UnreachableRatioError",
    "UnsupportedCodestreamError",
    "decode",
    "encode",
    "encode_ladder",
    "encode_layers",
    "encode_lossless",
    "unwrap_jp2",
    "wrap_jp2",
]
