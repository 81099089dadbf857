"""The console command: what it finds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NETWORK = """
import flax.linen as nn
class Net(nn.Module):
    def __call__(self, images, train=False, mask=None):
        return images.mean((1, 2, 3))
"""

COMMAND = """
import multiprocessing
import sys
from mammo_jax.jobs.command_line import main
from mammo_jax.models import build_model
from mammo_jax.training_config import TrainingConfig

def network():
    return type(build_model(TrainingConfig(model="my_network:Net"))).__name__

if __name__ == "__main__":
    sys.argv = ["mammo-jax"]
    main()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print("networks", network(), pool.apply(network))
"""


def test_a_network_in_the_current_folder_is_found_here_and_in_workers(tmp_path):
    """The command lies in another folder, which is what Python puts first where it looks for modules."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mammo_jax_command.py").write_text(COMMAND)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "my_network.py").write_text(NETWORK)
    done = subprocess.run(
        [sys.executable, tmp_path / "bin" / "mammo_jax_command.py"],
        cwd=tmp_path / "here",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1:] == ["networks Net Net"], done.stderr[-2000:]


WITHOUT = """
import sys

class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without)
sys.argv = ["mammo-jax", "receive"]
from mammo_jax.jobs.command_line import main
main()
"""


@pytest.mark.parametrize("package", ["pynetdicom", "dicomweb_client"])
def test_a_job_that_needs_the_extra_pacs_says_what_to_install(package):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(package=package)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == f"error: {package} is not installed; pip install 'mammo-jax[pacs]'\n"


@pytest.mark.parametrize("arguments", [["--help"], ["compress", "--help"], ["completion", "bash"]])
def test_it_ends_quietly_where_nobody_reads(arguments):
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "mammo_jax", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
