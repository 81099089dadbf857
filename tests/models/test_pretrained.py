"""Pretrained weights: found, read, converted, and never silently missing."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from mammo_jax.files import sha256_file
from mammo_jax.models.pretrained import (
    HUB_FILE,
    HUB_REPOSITORY,
    HUB_REVISION,
    PretrainedError,
    _from_hub,
    find_weights,
    read_weights,
    to_torch,
    with_pretrained,
)
from mammo_jax.models.resnet import ResNet18
from mammo_jax.training.starting_weights import origin, starting_state
from mammo_jax.training.step import StepInputs, build_steps
from mammo_jax.training_config import TrainingConfig


@pytest.fixture(scope="module")
def fresh():
    shapes = jax.eval_shape(ResNet18().init, jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)


@pytest.fixture(scope="module")
def state(fresh):
    """The content of a weights file for three colours and 1000 classes."""
    random = np.random.default_rng(0)
    shapes = {name: array.shape for name, array in to_torch(fresh).items()}
    shapes |= {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 512), "fc.bias": (1000,)}
    state = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return state | {"bn1.num_batches_tracked": np.array(7)}


@pytest.fixture(scope="module")
def file(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / HUB_FILE
    save_file(state, path)
    return path


def test_everything_but_the_head_is_loaded_in_our_layout(fresh, state, file):
    variables = with_pretrained(fresh, read_weights(file), ResNet18.head)
    params, stats = variables["params"], variables["batch_stats"]
    np.testing.assert_allclose(
        params["conv1"]["kernel"][2, 5, 0, 11], state["conv1.weight"][11, :, 2, 5].sum(), rtol=1e-6
    )
    kernel = params["layer2_0"]["downsample_0"]["kernel"]
    np.testing.assert_array_equal(kernel[0, 0, 3, 9], state["layer2.0.downsample.0.weight"][9, 3, 0, 0])
    np.testing.assert_array_equal(params["layer4_1"]["bn2"]["scale"], state["layer4.1.bn2.weight"])
    np.testing.assert_array_equal(stats["layer1_0"]["bn1"]["var"], state["layer1.0.bn1.running_var"])
    assert not params["fc"]["kernel"].any()


def test_a_kernel_of_three_colours_stays_where_the_image_is_repeated(fresh, state):
    three = {**fresh, "params": {**fresh["params"], "conv1": {"kernel": np.zeros((7, 7, 3, 64), np.float32)}}}
    kernel = with_pretrained(three, state, ResNet18.head)["params"]["conv1"]["kernel"]
    np.testing.assert_array_equal(kernel, state["conv1.weight"].transpose(2, 3, 1, 0))


def test_there_and_back_gives_the_same(fresh, state):
    back = to_torch(with_pretrained(fresh, state, ("fc",)))
    for name, value in back.items():
        if name not in ("conv1.weight", "fc.weight", "fc.bias"):
            np.testing.assert_array_equal(value, state[name])


def test_arrays_that_do_not_fit_are_named(fresh, state):
    lacking = {name: value for name, value in state.items() if name != "layer3.0.bn1.bias"}
    with pytest.raises(PretrainedError, match=r"lack 'layer3\.0\.bn1\.bias'.*--pretrained none"):
        with_pretrained(fresh, lacking, ResNet18.head)
    wrong = {**state, "layer1.0.conv1.weight": np.zeros((64, 64, 1, 1))}
    with pytest.raises(PretrainedError, match=r"'layer1\.0\.conv1\.weight' has shape \(1, 1, 64, 64\), not"):
        with_pretrained(fresh, wrong, ResNet18.head)


def test_files_that_are_no_weights_are_refused(tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\xff" * 100)
    with pytest.raises(PretrainedError, match=r"broken\.safetensors: not a readable safetensors file"):
        read_weights(broken)
    with pytest.raises(PretrainedError, match="weights are read from"):
        read_weights(tmp_path / "weights.npz")


def test_a_pth_file_is_read_where_pytorch_is_installed(state, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "resnet18.pth"
    torch.save({name: torch.from_numpy(value.copy()) for name, value in state.items()}, path)
    for name, value in read_weights(path).items():
        np.testing.assert_array_equal(value, state[name])


def test_a_pth_file_that_holds_code_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "code.pth"
    torch.save({"weight": print}, path)
    with pytest.raises(PretrainedError, match="not a readable state dict"):
        read_weights(path)


def test_a_pth_file_without_pytorch_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(PretrainedError, match=r"mammo-jax\[torch\].*--pretrained none"):
        read_weights(tmp_path / "resnet18.pth")


@pytest.fixture(autouse=True)
def _empty_cache():
    _from_hub.cache_clear()
    yield
    _from_hub.cache_clear()


class Hub:
    """A fake client of the Hugging Face hub."""

    def __init__(self, answer):
        self.answer, self.requests = answer, []

    def hf_hub_download(self, repository, name, revision):
        self.requests.append((repository, name, revision))
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)


def test_imagenet_weights_come_from_one_revision_of_the_hub_and_are_asked_for_once(file, monkeypatch):
    hub = Hub(file)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    for first_kernel in ("sum", "repeat"):
        assert find_weights(TrainingConfig(model="resnet18", first_kernel=first_kernel)) == file
    assert hub.requests == [(HUB_REPOSITORY, HUB_FILE, HUB_REVISION)]


@pytest.mark.parametrize("client", [None, Hub(OSError("no route\nto host"))])
def test_without_weights_the_message_says_how_to_get_them(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    with pytest.raises(PretrainedError, match=r"--pretrained FILE.*--pretrained none"):
        find_weights(TrainingConfig(model="resnet18"))
    with pytest.raises(PretrainedError, match=r"gone\.safetensors is not a file.*--pretrained none"):
        find_weights(TrainingConfig(model="resnet18", pretrained="gone.safetensors"))


def test_the_hub_is_not_queried_without_pretrained_weights(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert find_weights(TrainingConfig(model="resnet18", pretrained="none")) is None
    assert find_weights(TrainingConfig()) is None


def test_training_starts_from_the_file_and_its_record_names_it(state, file):
    """One step of a ResNet18 with a random head moves every layer by no more than its own learning rate."""
    config = TrainingConfig(model="resnet18", pretrained=str(file), augment=False, weight_decay=0.0)
    assert origin(config, None) == {"initial_features": None, "pretrained_sha256": sha256_file(file)}
    steps = build_steps(config)
    images = np.random.default_rng(0).integers(0, 65536, (4, 32, 32, 1)).astype(np.uint16)
    start = starting_state(config, steps, 0, images[:1], None)
    params = start.variables["params"]
    np.testing.assert_array_equal(params["layer4_1"]["bn2"]["scale"], state["layer4.1.bn2.weight"])
    assert params["fc"]["kernel"].shape == (512, 1)
    batch = {"image": images, "target": np.array([0, 1, 0, 1], np.float32), "weight": np.ones(4, np.float32)}
    inputs = StepInputs(np.float32(1e-2), np.uint32(0), np.int32(0))
    after, loss = steps.train(steps.parallel.replicate(start), steps.parallel.spread(batch), inputs)
    moved = jax.tree.map(
        lambda a, b: float(np.abs(a - b).max()), steps.parallel.first(after.variables)["params"], params
    )
    assert np.isfinite(loss).all()
    # AdamW's first step is the rate itself wherever there is a gradient.
    np.testing.assert_allclose(moved["fc"]["kernel"], 1e-2, rtol=1e-2)
    np.testing.assert_allclose(moved["layer1_0"]["conv1"]["kernel"], 1e-3, rtol=1e-2)


def test_the_hubs_own_client_finds_what_its_cache_holds(file, tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    folder = tmp_path / f"models--{HUB_REPOSITORY.replace('/', '--')}"
    (folder / "snapshots" / HUB_REVISION).mkdir(parents=True)
    (folder / "snapshots" / HUB_REVISION / HUB_FILE).write_bytes(file.read_bytes())
    download = hub.hf_hub_download
    monkeypatch.setattr(
        hub, "hf_hub_download", lambda *a, **b: download(*a, **b, cache_dir=tmp_path, local_files_only=True)
    )
    path = find_weights(TrainingConfig(model="resnet18"))
    assert path.read_bytes() == file.read_bytes()
    (folder / "snapshots" / HUB_REVISION / HUB_FILE).unlink()
    _from_hub.cache_clear()
    with pytest.raises(PretrainedError, match="cannot be fetched"):
        find_weights(TrainingConfig(model="resnet18"))
