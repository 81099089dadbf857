"""Published data sets, read from the folder as it is downloaded: one module a data set, and this list of them."""

from mammo_jax.sources.datasets.cbis_ddsm import CBIS_DDSM
from mammo_jax.sources.datasets.cdd_cesm import CDD_CESM
from mammo_jax.sources.datasets.cmmd import CMMD
from mammo_jax.sources.datasets.inbreast import INBREAST
from mammo_jax.sources.datasets.published import Dataset, PublishedConfig, PublishedSource
from mammo_jax.sources.datasets.rsna_2023 import RSNA_2023
from mammo_jax.sources.datasets.vindr_mammo import VINDR_MAMMO

DATASETS: dict[str, Dataset] = {
    "cbis-ddsm": CBIS_DDSM,
    "inbreast": INBREAST,
    "vindr-mammo": VINDR_MAMMO,
    "cmmd": CMMD,
    "rsna-2023": RSNA_2023,
    "cdd-cesm": CDD_CESM,
}

__all__ = ["DATASETS", "Dataset", "PublishedConfig", "PublishedSource"]
