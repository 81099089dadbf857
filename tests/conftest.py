"""Settings for every test, set before JAX is imported and inherited by the processes that tests start."""

import os

os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
