"""Settings for every test, set before JAX is imported and inherited by the processes that tests start."""

import importlib
import os
from pathlib import Path

import pytest

from mammo_jax import runtime

os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
runtime.quiet_tensorflow()
runtime.choose_xla_flags()


@pytest.fixture(scope="session")
def openjpeg_glymur(tmp_path_factory):
    """glymur, which brings no OpenJPEG of its own, pointed at the one inside Pillow's wheel."""
    import PIL

    (library,) = (Path(PIL.__file__).parent.parent / "pillow.libs").glob("libopenjp2*")
    folder = tmp_path_factory.mktemp("configuration")
    (folder / "glymur").mkdir()
    (folder / "glymur" / "glymurrc").write_text(f"[library]\nopenjp2: {library}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        glymur = importlib.import_module("glymur")
    assert glymur.version.openjpeg_version >= "2.5"
    return glymur
