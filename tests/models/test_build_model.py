"""All networks have one interface, the user's own included."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from synthetic_examples import blobs

from mammo_jax.models import ModelError, build_model, init_model
from mammo_jax.training.loop import train_model
from mammo_jax.training.trained_model import load_model, predict
from mammo_jax.training_config import TrainingConfig

IMAGES = jnp.zeros((2, 32, 32, 1))


class Tiny(nn.Module):
    """A user's network: no batch statistics, no fields."""

    @nn.compact
    def __call__(self, images, train=False, mask=None):
        x = nn.Conv(4, (5, 5), (2, 2))(images)
        return nn.Dense(1, name="out")(nn.relu(x).max((1, 2)))[:, 0]

    head = ("out",)


class NoDefault(nn.Module):
    units: int

    def __call__(self, images, train=False, mask=None):
        return images.mean((1, 2, 3))


class TwoLogits(nn.Module):
    @nn.compact
    def __call__(self, images, train=False, mask=None):
        return nn.Dense(2)(images.mean((1, 2)))


class WithCache(nn.Module):
    @nn.compact
    def __call__(self, images, train=False, mask=None):
        self.variable("cache", "seen", jnp.zeros, ())
        return nn.Dense(1)(images.mean((1, 2)))[:, 0]


class OtherCall(nn.Module):
    def __call__(self, x):
        return x.mean((1, 2, 3))


class HeadIsMethod(Tiny):
    @nn.nowrap
    def head(self, x):
        return x


class HeadIsString(Tiny):
    head = "out"


class HeadIsMisspelt(Tiny):
    head = ("Out",)


def named(cls):
    return TrainingConfig(model=f"{__name__}:{cls.__name__}")


@pytest.mark.parametrize("model", ["cnn", "resnet18", f"{__name__}:Tiny"])
def test_every_network_is_used_in_the_same_way(model):
    config = TrainingConfig(model=model, pretrained="none")
    variables = jax.jit(lambda key: init_model(config, key, IMAGES))(jax.random.key(0))
    logits, changed = build_model(config).apply(
        variables, IMAGES + 1, train=True, mask=jnp.array([True, False]), mutable=["batch_stats"]
    )
    assert logits.shape == (2,)
    assert changed.keys() == variables.keys() - {"params"}
    assert build_model(config).apply(variables, IMAGES, train=False, mask=None).dtype == jnp.float32


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TrainingConfig(model="no_such_package:Net"), "importable from the current folder"),
        (TrainingConfig(model=f"{__name__}:Absent"), "has no attribute 'Absent'.*package.module:Class"),
        (TrainingConfig(model="os:getcwd"), "not a flax.linen.Module"),
        (named(NoDefault), "units.*give every field a default value"),
        (named(TwoLogits), r"returns \(2, 2\).*one logit per image"),
        (named(WithCache), r"variable collections \['cache'\] are not supported"),
        (named(OtherCall), r"define __call__\(self, images, train=False, mask=None\)"),
        (named(HeadIsMethod), r"as a tuple like head = \(\"Dense_0\",\); it is <bound method"),
        (named(HeadIsString), r"as a tuple like .*; it is 'out'"),
        (named(HeadIsMisspelt), r"head names \['Out'\], but its layers are \['Conv_0', 'out'\]"),
        (TrainingConfig(model=f"{__name__}:Tiny", compute="bfloat16"), "needs a module with a field `dtype`"),
    ],
)
def test_networks_that_cannot_be_used_are_refused(config, message):
    with pytest.raises(ModelError, match=message):
        init_model(config, jax.random.key(0), IMAGES)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="'resnet19' is not among"):
        TrainingConfig(model="resnet19")


@pytest.mark.parametrize("model", ["cnn", "my_package:Net"])
def test_a_weights_file_that_would_not_be_read_is_refused(model):
    with pytest.raises(ValueError, match="pretrained: only resnet18 starts from a file"):
        TrainingConfig(model=model, pretrained="resnet18.pth")
    assert not TrainingConfig(model=model, pretrained="imagenet").starts_pretrained


def test_a_network_of_the_user_is_trained_saved_and_used(tmp_path):
    config = TrainingConfig(
        model=f"{__name__}:Tiny", epochs=8, batch_size=16, validation_parts=4, learning_rate=2e-2, accumulate=2
    )
    examples = blobs(96)
    trained = train_model(examples, 0, config, 0, tmp_path)
    held_out = examples.take(np.flatnonzero(examples.folds == 0))
    scores = predict(load_model(tmp_path), held_out.images)
    assert scores[held_out.targets == 1].mean() > scores[held_out.targets == 0].mean() + 1
    assert trained.config.model.endswith(":Tiny")
