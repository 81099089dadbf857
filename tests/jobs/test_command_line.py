"""The console command: what it finds."""

import os
import subprocess
import sys
from pathlib import Path

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
