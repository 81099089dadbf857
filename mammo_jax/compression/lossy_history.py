"""What an object says of the lossy compressions that it went through (PS3.3 C.7.6.1.1.5).

Lossy Image Compression Ratio (0028,2112) and Method (0028,2114) have a value for each step, in the same order. Files of
archives often have one list without the other, or neither.
"""

from __future__ import annotations

from pydicom import Dataset, uid
from pydicom.multival import MultiValue

from mammo_jax.sources.dicom import LOSSY_COMPRESSED
from mammo_jax.sources.dicom_frames import JPEG_XL, JPEG_XL_RECOMPRESSION

NOT_COMPRESSED = "00"
MAX_DESCRIPTION = 1024  # characters of an ST, PS3.5 6.2
_ALWAYS_LOSSY = {
    uid.JPEGBaseline8Bit: "ISO_10918_1",
    uid.JPEGExtended12Bit: "ISO_10918_1",
    JPEG_XL_RECOMPRESSION: "ISO_10918_1",  # the loss is that of the JPEG in it, whose bits it preserves: PS3.5 8.2.15
}
_LOSSY_UNLESS_SAID = {
    uid.JPEGLSNearLossless: "ISO_14495_1",
    uid.JPEG2000: "ISO_15444_1",
    uid.HTJ2K: "ISO_15444_15",
    JPEG_XL: "ISO_18181_1",
}


def lossy_method(instance: Dataset, syntax: str) -> str | None:
    """Method of the lossy compression that the transfer syntax of a file shows, or None where it shows none.

    Syntaxes that may be lossless too show nothing where Lossy Image Compression says "00".
    """
    if syntax in _ALWAYS_LOSSY:
        return _ALWAYS_LOSSY[uid.UID(syntax)]
    said = instance.get("LossyImageCompression")
    return None if said == NOT_COMPRESSED else _LOSSY_UNLESS_SAID.get(uid.UID(syntax))


def record_earlier_steps(instance: Dataset, syntax: str) -> bool:
    """Make the record of earlier lossy compressions complete, in place; returns whether there were any.

    Both lists get equal lengths: the method of the last step comes from the transfer syntax if it alone is missing.
    Lists that don't fit each other even so cannot be paired; what they say moves to DerivationDescription.

    Parameters
    ----------
    instance : pydicom.Dataset
    syntax : str
        UID of the transfer syntax that it was read from.
    """
    of_file = lossy_method(instance, syntax)
    if of_file is None and instance.get("LossyImageCompression") != LOSSY_COMPRESSED:
        return False
    instance.LossyImageCompression = LOSSY_COMPRESSED
    ratios = values_of(instance, "LossyImageCompressionRatio")
    methods = values_of(instance, "LossyImageCompressionMethod")
    if of_file is not None and len(methods) == len(ratios) - 1:
        methods = [*methods, of_file]
    if len(methods) != len(ratios) or not ratios:
        describe(instance, _in_words(ratios, methods or ([of_file] if of_file else [])))
        ratios = methods = []
    set_steps(instance, ratios, methods)
    return True


def set_steps(instance: Dataset, ratios: list, methods: list) -> None:
    """Set both lists, or remove them where there is no step."""
    for keyword, values in (("LossyImageCompressionRatio", ratios), ("LossyImageCompressionMethod", methods)):
        if values:
            setattr(instance, keyword, values)
        elif keyword in instance:
            del instance[keyword]


def describe(instance: Dataset, text: str) -> None:
    """Add to DerivationDescription; of a longer description than fits, the beginning is kept."""
    earlier = "; ".join(str(value) for value in values_of(instance, "DerivationDescription"))
    kept = earlier[: MAX_DESCRIPTION - len(text) - 2]
    instance.DerivationDescription = f"{kept}; {text}" if kept else text


def values_of(instance: Dataset, keyword: str) -> list:
    """Values of an element as a list: none if it is missing or empty."""
    value = instance.get(keyword)
    return list(value) if isinstance(value, MultiValue) else [] if value in (None, "") else [value]


def _in_words(ratios: list, methods: list) -> str:
    by = f"method {', '.join(map(str, methods))}" if methods else "method not recorded"
    of = f"ratio {', '.join(map(str, ratios))}" if ratios else "ratio not recorded"
    return f"earlier lossy compression, {by}, {of}"
