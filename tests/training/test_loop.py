"""Training: it learns, does not use the held-out fold, resumes bit-identically, and stops with a clear message."""

import weakref
from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from synthetic_examples import blobs

from mammo_jax.dataset.input_pipeline import Examples
from mammo_jax.models import build_model, init_model
from mammo_jax.statistics.auroc import auroc_and_auprc
from mammo_jax.training import loop
from mammo_jax.training import step as train_step
from mammo_jax.training.checkpoints import CheckpointError, ProgressCheckpoints
from mammo_jax.training.loop import TrainingError, train_model
from mammo_jax.training.starting_weights import check_features
from mammo_jax.training.step import learning_rate
from mammo_jax.training.trained_model import TrainedModel, load_model, predict
from mammo_jax.training.validation import validation_rows
from mammo_jax.training_config import TrainingConfig

CONFIG = TrainingConfig(filters=(4, 8, 8), epochs=6, batch_size=16, validation_parts=4, learning_rate=5e-3)


@pytest.fixture(scope="module")
def examples():
    return blobs()


@pytest.fixture(scope="module")
def trained(examples, tmp_path_factory):
    return train_model(examples, 1, CONFIG, 0, tmp_path_factory.mktemp("trained"))


def assert_same_variables(first, second):
    jax.tree.map(np.testing.assert_array_equal, first.variables, second.variables)


def test_it_learns_and_generalises(examples, trained):
    held_out = examples.take(np.flatnonzero(examples.folds == 1))
    scores = predict(trained, held_out.images)
    assert scores.dtype == np.float64
    auroc = auroc_and_auprc(held_out.targets == 1, scores, np.ones((len(scores), 1)))[0][0]
    assert auroc > 0.9


def test_the_record_has_the_settings_and_the_history(examples, trained):
    record = trained.record
    assert (record["ratio"], record["fold"], record["seed"]) == ("1", 1, 0)
    assert record["config"]["learning_rate"] == 5e-3
    assert record["training_patients"] == sorted(set(examples.patient_ids[examples.folds != 1].tolist()))
    losses = [epoch["validation_loss"] for epoch in record["history"]]
    assert losses[record["best_epoch"] - 1] == min(losses)


def test_the_held_out_fold_is_not_used(examples, trained, tmp_path):
    held_out = examples.folds == 1
    images, targets = examples.images.copy(), examples.targets.copy()
    images[held_out] = 65535 - images[held_out]
    targets[held_out] = 1 - targets[held_out]
    again = train_model(replace(examples, images=images, targets=targets), 1, CONFIG, 0, tmp_path)
    assert_same_variables(again, trained)
    assert again.record == trained.record


def test_seed_and_fold_matter(examples, trained, tmp_path):
    for fold, seed in ((1, 1), (2, 0)):
        other = train_model(examples, fold, replace(CONFIG, epochs=1), seed, tmp_path / f"{fold}{seed}")
        assert not np.array_equal(
            other.variables["params"]["Conv_0"]["kernel"], trained.variables["params"]["Conv_0"]["kernel"]
        )


def test_a_finished_model_is_loaded_not_trained(examples, tmp_path, monkeypatch):
    first = train_model(examples, 0, replace(CONFIG, epochs=1), 0, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    monkeypatch.setattr(loop, "_Run", None)  # training now would fail
    assert_same_variables(train_model(examples, 0, replace(CONFIG, epochs=1), 0, tmp_path), first)
    assert_same_variables(load_model(tmp_path), first)
    with pytest.raises(CheckpointError, match=r"has a model with another config .*'epochs': 1.*remove this one"):
        train_model(examples, 0, replace(CONFIG, epochs=2), 0, tmp_path)
    with pytest.raises(CheckpointError, match="another training_data"):
        train_model(blobs(seed=1), 0, replace(CONFIG, epochs=1), 0, tmp_path)


def test_an_interrupted_training_resumes_to_the_same_model(examples, trained, tmp_path, monkeypatch):
    save, saved = ProgressCheckpoints.save, []

    def save_and_stop(self, step, *arguments):
        save(self, step, *arguments)
        saved.append(step)
        if step in (2, 7, 12):
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressCheckpoints, "save", save_and_stop)
    monkeypatch.setattr(loop, "CLOCK_STEPS", 1)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train_model(examples, 1, CONFIG, 0, tmp_path, checkpoint_seconds=0)
    resumed = train_model(examples, 1, CONFIG, 0, tmp_path, checkpoint_seconds=0)
    steps = len(trained.record["history"]) * 4
    assert saved == list(range(1, steps + 1)), "no step is done twice"
    assert_same_variables(resumed, trained)
    assert resumed.record == trained.record


def test_progress_of_other_settings_is_not_used(examples, trained, tmp_path, monkeypatch):
    save = ProgressCheckpoints.save

    def save_and_stop(self, *arguments):
        save(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressCheckpoints, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train_model(examples, 1, replace(CONFIG, learning_rate=1e-3), 0, tmp_path, checkpoint_seconds=0)
    assert_same_variables(train_model(examples, 1, CONFIG, 0, tmp_path), trained)


def test_patience_ends_training(examples, tmp_path):
    # Targets drawn at random: nothing to learn, so the validation loss soon stops falling.
    targets = np.random.default_rng(0).permutation(examples.targets)
    config = replace(CONFIG, epochs=40, patience=2, learning_rate=2e-2, augment=False, dropout=0.0)
    record = train_model(replace(examples, targets=targets), 0, config, 0, tmp_path).record
    assert len(record["history"]) == record["best_epoch"] + 2 < 40


def test_a_loss_that_is_not_finite_stops_with_a_reason(examples, tmp_path):
    with pytest.raises(
        TrainingError,
        match=r"cnn trained at ratio 1, fold 2, seed 0: .* not finite.*lower learning_rate \(now 1e\+35\)",
    ):
        train_model(examples, 2, replace(CONFIG, learning_rate=1e35), 0, tmp_path)
    assert not (tmp_path / "model").exists()


def test_the_first_step_with_a_loss_that_is_not_finite_is_named(examples):
    run = loop._Run(examples, examples.folds == 0, CONFIG, 0, None, "this model")
    progress = loop._TrainingProgress(None, 13, [1.0], {}, [])
    run._add_losses(progress, [2.0, 3.0])
    assert progress.losses == [1.0, 2.0, 3.0]
    with pytest.raises(TrainingError, match=r"this model: the loss is not finite at step 11 \(epoch 3\)"):
        run._add_losses(progress, [0.5, float("nan"), float("inf")])


def test_blank_images_stop_with_a_reason(examples, tmp_path):
    blank = replace(examples, images=np.full_like(examples.images, 5))
    with pytest.raises(TrainingError, match="all training images have one grey level"):
        train_model(blank, 0, CONFIG, 0, tmp_path)


def test_validation_patients_are_whole_and_stratified(examples):
    validating = validation_rows(examples, 5, 0, "model")
    assert not set(examples.patient_ids[validating]) & set(examples.patient_ids[~validating])
    assert abs(validating.mean() - 0.2) < 0.05
    assert abs(examples.targets[validating].mean() - examples.targets.mean()) < 0.1
    np.testing.assert_array_equal(validating, validation_rows(examples, 5, 0, "model"))
    assert not np.array_equal(validating, validation_rows(examples, 5, 1, "model"))


def test_with_one_part_all_examples_are_trained_on_and_validated_with(examples):
    validating = validation_rows(examples, 1, 0, "model")
    assert validating.all()
    run = loop._Run(examples, validating, replace(CONFIG, validation_parts=1), 0, None, "this model")
    assert len(run.fitting) == len(run.validation) == len(examples)


def test_only_the_training_examples_stay_in_memory(examples, tmp_path, monkeypatch):
    references, sizes_alive = [], []
    take, batches = Examples.take, loop.batches

    def recording_take(self, indices):
        part = take(self, indices)
        references.append(weakref.ref(part))
        return part

    def recording_batches(*arguments):
        sizes_alive.append([len(part()) for part in references if part() is not None])
        return batches(*arguments)

    monkeypatch.setattr(Examples, "take", recording_take)
    monkeypatch.setattr(loop, "batches", recording_batches)
    train_model(examples, 1, replace(CONFIG, epochs=1), 0, tmp_path)
    assert sum(sizes_alive[0]) == np.count_nonzero(examples.folds != 1), sizes_alive


def test_too_few_patients_stop_with_a_reason():
    with pytest.raises(TrainingError, match=r"4 negative and 4 positive patients outside of the fold, but 5"):
        validation_rows(blobs(16), 5, 0, "model")


def test_whole_images_start_from_a_patch_network(trained, tmp_path):
    whole = blobs(size=(48, 40))
    config = replace(CONFIG, epochs=1, learning_rate=1e-9)
    model = train_model(whole, 1, config, 0, tmp_path, initial_features=trained)
    for name, layer in trained.variables["params"].items():
        for leaf, value in layer.items():
            np.testing.assert_allclose(model.variables["params"][name][leaf], value, atol=1e-7)
    assert model.record["initial_features"] == trained.record["sha256"]


def test_initial_features_must_match_and_must_not_be_trained_on_the_fold(examples, trained, tmp_path):
    with pytest.raises(TrainingError, match=r"was trained on 20 patients of the held-out fold"):
        train_model(examples, 2, CONFIG, 0, tmp_path, initial_features=trained)
    with pytest.raises(TrainingError, match=r"filters \(4, 8, 8\), not cnn with \(8, 8, 8\)"):
        train_model(examples, 1, replace(CONFIG, filters=(8, 8, 8)), 0, tmp_path, initial_features=trained)


def test_initial_features_must_have_the_same_shapes(examples):
    config = TrainingConfig(model="resnet18", pretrained="none")
    variables = jax.eval_shape(lambda: init_model(config, jax.random.key(0), np.zeros((1, 32, 32, 1), np.float32)))
    features = TrainedModel(config, variables, {"training_patients": []})
    check_features(features, examples, 0, config, "this model")
    with pytest.raises(TrainingError, match=r"params/conv1/kernel of .* \(7, 7, 1, 64\), here it is \(7, 7, 3, 64\)"):
        check_features(features, examples, 0, replace(config, first_kernel="repeat"), "this model")
    del variables["params"]["fc"]["bias"]
    with pytest.raises(TrainingError, match="params/fc/bias of the initial features is missing"):
        check_features(features, examples, 0, config, "this model")


@pytest.mark.parametrize(("from_features", "factor"), [(True, 1.0), (False, 0.1)])
def test_only_an_imagenet_backbone_has_a_lower_rate_by_default(from_features, factor, examples, monkeypatch):
    built = []
    monkeypatch.setattr(loop, "build_steps", built.append)
    config = TrainingConfig(model="resnet18", validation_parts=4)
    features = TrainedModel(config, {}, {}) if from_features else None
    loop._Run(examples, examples.folds == 0, config, 0, features, "this model")
    assert train_step._backbone_factor(built[0], build_model(config)) == factor


def test_sliding_windows_need_a_network_trained_on_patches(examples, tmp_path):
    with pytest.raises(TrainingError, match=r"leaves its batch statistics unchanged.*--features-from"):
        train_model(examples, 1, replace(CONFIG, window=16, window_step=8), 0, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_learning_rate_has_a_warm_up_and_a_cosine_decay():
    rates = [learning_rate(CONFIG, step, 50) for step in range(51)]
    np.testing.assert_allclose(rates[:5], 5e-3 * np.arange(1, 6) / 5)
    expected = optax.cosine_decay_schedule(5e-3, 45)
    np.testing.assert_allclose(rates[5:], [expected(step) for step in range(46)], rtol=1e-5, atol=1e-9)


def test_predictions_do_not_depend_on_the_other_images(examples, trained):
    scores = predict(trained, examples.images[:21])
    assert scores.shape == (21,)
    few = predict(trained, examples.images[3:5])
    np.testing.assert_allclose(few, scores[3:5], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("change", [{"epochs": 0}, {"dropout": 1.0}, {"learning_rate": 0.0}, {"validation_parts": 0}])
def test_settings_that_cannot_be_trained_with_are_refused(change):
    with pytest.raises(ValueError, match=str(next(iter(change)))):
        TrainingConfig(**change)
