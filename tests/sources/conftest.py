import os
from pathlib import Path

import pytest


@pytest.fixture
def shared_data() -> Path:
    """Folder of real images (mini-mias, dicom, png16), which are no part of the project."""
    folder = os.environ.get("MAMMO_SHARED_DATA")
    if not folder:
        pytest.skip("MAMMO_SHARED_DATA is not set")
    return Path(folder)
