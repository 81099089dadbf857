import jax
import numpy as np
from sklearn.metrics import roc_auc_score
from synthetic_examples import blobs

from mammo_jax.models.cnn import CNN
from mammo_jax.saliency import randomisation
from mammo_jax.saliency.randomisation import (
    MIN_MEMORISED_AUROC,
    layers_in_order,
    memorisation_config,
    parameter_cascade,
)
from mammo_jax.training.loop import train_model
from mammo_jax.training.trained_model import predict
from mammo_jax.training_config import TrainingConfig

IMAGES = np.zeros((1, 16, 16, 1), np.float32)
MODULE = CNN(filters=(2, 3, 4), dense=(5, 6))


def test_the_cascade_goes_from_the_last_layer_to_the_first_and_does_not_change_the_original():
    variables = jax.device_get(jax.jit(MODULE.init)(jax.random.key(0), IMAGES))
    trained = jax.tree.map(lambda leaf: np.full_like(leaf, 7), variables)
    stages = list(parameter_cascade(MODULE, trained, IMAGES, seed=1))
    assert [layer for layer, _ in stages] == ["Dense_2", "Dense_1", "Dense_0", "Conv_2", "Conv_1", "Conv_0"]

    def trained_layers(tree):
        return {layer for part in tree.values() for layer, leaf in part.items() if _is_trained(leaf)}

    before = trained_layers(trained)
    assert len(before) == 9
    for layer, mixed in stages:
        randomised = before - trained_layers(mixed)
        assert randomised == ({layer, layer.replace("Conv", "MaskedBatchNorm")} if "Conv" in layer else {layer})
        before = trained_layers(mixed)
    assert before == set()
    assert trained_layers(trained) == {*trained["params"]}
    again = list(parameter_cascade(MODULE, trained, IMAGES, seed=1))
    jax.tree.map(np.testing.assert_array_equal, stages[-1][1], again[-1][1])


def _is_trained(leaves):
    return all((leaf == 7).all() for leaf in jax.tree.leaves(leaves))


def test_normalisations_go_with_their_convolution():
    variables = jax.jit(MODULE.init)(jax.random.key(0), IMAGES)
    layers = layers_in_order(MODULE, variables, IMAGES)
    assert layers[:2] == [["Conv_0", "MaskedBatchNorm_0"], ["Conv_1", "MaskedBatchNorm_1"]]


def test_permuted_targets_are_the_same_targets_in_another_order(monkeypatch):
    examples = blobs(60)
    monkeypatch.setattr(randomisation, "read_examples", lambda dirs, ratio: examples)
    permuted = randomisation.read_with_permuted_targets([], 3, 1.0)
    assert sorted(permuted.targets) == sorted(examples.targets)
    assert 0.3 < (permuted.targets == examples.targets).mean() < 0.7
    np.testing.assert_array_equal(permuted.image_ids, examples.image_ids)
    np.testing.assert_array_equal(permuted.targets, randomisation.read_with_permuted_targets([], 3, 1.0).targets)


def test_a_network_memorises_permuted_targets(monkeypatch, tmp_path):
    monkeypatch.setattr(randomisation, "read_examples", lambda dirs, ratio: blobs(64, folds=2))
    permuted = randomisation.read_with_permuted_targets([], 0, 1.0)
    settings = TrainingConfig(filters=(4, 8, 8), epochs=16, batch_size=16, validation_parts=4, learning_rate=2e-2)
    own = permuted.take(np.flatnonzero(permuted.folds != 0))
    aurocs = {}
    for name, config in {"study": settings, "memorisation": memorisation_config(settings)}.items():
        trained = train_model(permuted, 0, config, 2, tmp_path / name)
        aurocs[name] = roc_auc_score(own.targets, predict(trained, own.images))
    assert aurocs["study"] < MIN_MEMORISED_AUROC <= aurocs["memorisation"] == trained.record["validation_auroc"]
