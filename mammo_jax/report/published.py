"""What others published: the means of Jo et al. (Sci Rep 2021;11:7924), recommended ratios, and lossy mammograms."""

from __future__ import annotations

from dataclasses import dataclass

from mammo_jax.ratios import LADDER

CITATION = "Jo et al., Scientific Reports 2021;11:7924"

CNN_LAST_GOOD = 5000.0
CNN_UP_TO_LAST_GOOD = {"auroc": 0.87, "auprc": 0.75}
CNN_ABOVE = {"auroc": 0.79, "auprc": 0.49}
"""One mean for all ratios up to 5000 and one for 10 000 and 11 000; single ratios were given as figures only."""
MEANS = " and of ".join(
    f"{means['auroc']:.2f} / {means['auprc']:.2f} {where}"
    for means, where in ((CNN_UP_TO_LAST_GOOD, "up to CR 5000"), (CNN_ABOVE, "at CR 10 000 and 11 000"))
)

RESNET18_RANGE = {"auroc": (0.77, 0.87), "auprc": (0.52, 0.71)}
"""Lowest and highest over the ratios."""


@dataclass(frozen=True)
class Recommendation:
    """A ratio that others named for mammograms.

    Attributes
    ----------
    ratio : float
    short, text : str
        For the figure, and with its source.
    """

    ratio: float
    short: str
    text: str


RECOMMENDATIONS = (
    Recommendation(
        15.0,
        "15 Germany",
        "Germany, 15:1: consensus conference of the German Röntgen Society, RöFo, doi:10.1055/s-2008-1027847; "
        "Jo et al. cite 20 for Germany, and 15 for the United Kingdom",
    ),
    Recommendation(20.0, "20", "20:1: named for Germany, as cited by Jo et al.; the German consensus itself says 15"),
    Recommendation(
        25.0,
        "25 Canada",
        "Canada, 25:1: Canadian Association of Radiologists, Standards for Irreversible Compression in Digital "
        "Diagnostic Imaging within Radiology, 2008, as cited by Jo et al.",
    ),
    Recommendation(
        60.0,
        "60 readers",
        "60:1: four radiologists could not reliably tell JPEG 2000 from the original in 80 cases (Clinical Radiology "
        "2011); not a recommendation of a society",
    ),
)

RETENTION = (
    "But the FDA reads the US Mammography Quality Standards Act as prohibiting lossy compression of digital mammograms "
    "for primary interpretation, retention and transfer (letter, AJR 2015;205:W640), and radiologists could tell JPEG "
    "2000 at 80:1 from the original, though not at 60:1 (Clinical Radiology 2011: at 80:1 each of four readers in 10 "
    "to 37.5 % of 80 cases)."
)
"""What stands beside every saving of storage."""


def cnn_mean(metric: str, ratio: float) -> float | None:
    """Return the published mean of the CNN at a ratio; None for ratios that were not in that study."""
    if ratio not in LADDER:
        return None
    return (CNN_UP_TO_LAST_GOOD if ratio <= CNN_LAST_GOOD else CNN_ABOVE)[metric]
