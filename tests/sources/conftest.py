import os
from pathlib import Path

import pytest


@pytest.fixture
def shared_data() -> Path:
    """The folder of real images (mini-mias, dicom, png16), which are not part of the project."""
    folder = os.environ.get("MAMMO_SHARED_DATA")
    if not folder:
        pytest.skip("MAMMO_SHARED_DATA is not set")
    return Path(folder)
