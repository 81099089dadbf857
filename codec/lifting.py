"""The lifting parameters of the 9/7 filter (T.800 Table F.4), forward and inverse."""

import numpy as np

ALPHA = np.float32(-1.586134342059924)
BETA = np.float32(-0.052980118572961)
GAMMA = np.float32(0.882911075530934)
DELTA = np.float32(0.443506852043971)
K = np.float32(1.230174104914001)
LOW_GAIN = np.float32(1 / 1.230174104914001)
