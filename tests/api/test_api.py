"""The package in Python: what is imported when, and that it calls the jobs' functions."""

import subprocess
import sys
from multiprocessing.spawn import get_preparation_data
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prediction_tables import predictions_table, transfer_losses

import mammo_jax as mj
from mammo_jax.api import study as study_module
from mammo_jax.api.run import RunError
from mammo_jax.api.settings import SettingError
from mammo_jax.api.workers import workers_without_main
from mammo_jax.files import read_json, write_json
from mammo_jax.jobs import evaluate as evaluate_job
from mammo_jax.statistics.predictions import PredictionsError


def test_importing_the_package_imports_nothing_else():
    names = "'jax', 'flax', 'tensorflow', 'numpy', 'pandas', 'numba', 'tyro'"
    code = f"import sys, mammo_jax; dir(mammo_jax); sys.exit(any(name in sys.modules for name in ({names})))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_name_leads_somewhere():
    assert all(getattr(mj, name) is not None for name in mj.__all__)
    assert {"Study", "evaluate", "compress", "load_model", "sources"} <= set(dir(mj))
    assert all(getattr(mj.sources, name) for name in ("Folder", "Hybrid", "Mias", "Phantom", "PublishedSource"))
    for module in (mj, mj.sources):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = module.nothing


def frozen_scores():
    table = predictions_table(transfer_losses({1.0: 0.0, 15.0: 0.0, 400.0: 6.0}))
    return table.rename(columns={"test_ratio": "ratio"})[["patient_id", "image_id", "ratio", "label", "score"]]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    table = frozen_scores().astype({"label": bool})
    return mj.evaluate(table, tmp_path_factory.mktemp("evaluated") / "run", frozen=True, resamples=200, scored="blobs")


def test_an_evaluation_is_that_of_the_command_line(run, tmp_path, capsys, monkeypatch):
    assert capsys.readouterr().out == ""
    frozen_scores().to_csv(tmp_path / "scores.csv", index=False)
    flags = ["--predictions", str(tmp_path / "scores.csv"), "--frozen", "--resamples", "200", "--scored", "blobs"]
    monkeypatch.setattr(evaluate_job, "build_report", lambda run: run.report)
    evaluate_job.main([*flags, "--out", str(tmp_path / "run")])
    other = read_json(tmp_path / "run" / "metrics.json")
    command = run.json["command"].split()
    assert command[:2] == ["mammo-jax", "evaluate"]
    assert {"--frozen", "--resamples"} <= set(command)
    ours = run.json
    for name in ("command", "predictions_sha256"):  # a True is written as 1, and scores to all their digits
        ours.pop(name), other.pop(name)
    assert ours == other
    assert "blobs" in run.report.read_text()


def test_a_run_shows_its_verdict_and_metrics(run):
    assert (run.verdict.outcome, run.verdict.ratio, run.verdict.first_failed) == ("ratio", 15.0, 400.0)
    assert str(run.verdict) == run.json["sentence"]
    metrics = run.metrics.set_index("test_ratio")
    assert list(metrics.index) == [1.0, 15.0, 400.0]
    assert (metrics["auroc_low"] < metrics["auroc"]).all()
    assert (metrics["auroc"] < metrics["auroc_high"]).all()
    assert list(metrics["passed"]) == [None, True, False]
    change = metrics["auroc"][400.0] - metrics["auroc"][1.0]
    assert metrics["auroc_change"][400.0] == pytest.approx(change, abs=1e-9)
    assert metrics["auroc_change_lower_bound"][400.0] < change
    assert "\n" not in repr(run)
    page = run._repr_html_()
    assert f"{metrics['auroc'][15.0]:.3f}" in page
    assert run.json["sentence"] in page


def test_a_run_says_what_is_missing(run, tmp_path):
    with pytest.raises(RunError, match=r"audit\.csv: no such file; mammo-jax study writes it"):
        _ = run.audit
    with pytest.raises(mj.UserError, match="no such file"):
        _ = mj.Run(tmp_path).verdict
    with pytest.raises(RunError, match=r"config\.json: no such file; name the folder of a study"):
        mj.load_model(run)
    assert mj.Run(tmp_path).__repr__() == f"Run({str(tmp_path)!r})"


def test_a_table_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(PredictionsError, match=r"scores\.csv: column 'score' is missing"):
        mj.evaluate(frozen_scores().drop(columns="score"), tmp_path / "run", frozen=True)
    write_json(tmp_path / "study" / "config.json", {})
    with pytest.raises(mj.UserError, match="is a study, which has its own predictions"):
        mj.evaluate(frozen_scores(), tmp_path / "study", frozen=True)
    assert not (tmp_path / "study" / "scores.csv").exists()


def test_files_are_compressed_to_the_byte(tmp_path, without_processes, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    done = mj.compress([tmp_path / "a.png", str(tmp_path / "b.png")], tmp_path / "out", ratio=4, plain_ids=True)
    assert list(done.sizes["image_id"]) == ["a.png"]
    assert (done.folder / "a.j2k").stat().st_size == 40 * 48 // 4
    assert list(done.left_out["path"]) == ["b.png"]
    assert "left out: b.png" in capsys.readouterr().out
    with pytest.raises(mj.UserError, match="there is no setting 'ratoi'; did you mean 'ratio'"):
        mj.compress(tmp_path / "a.png", tmp_path / "out", ratoi=4)


def test_a_study_is_started_as_the_job_starts_it(tmp_path, monkeypatch):
    began = []
    monkeypatch.setattr(study_module, "start_study", lambda *given: began.append(given))
    monkeypatch.setattr(study_module, "set_up", lambda networks: began.append(networks))
    study = mj.Study(images=8, ratios=(15,), out=tmp_path / "run")
    assert study.run().folder == tmp_path / "run"
    assert began == [True, (study.config, ["--images", "8", "--ratios", "15", "--out", str(tmp_path / "run")])]
    assert repr(study) == f"Study(--images 8 --ratios 15 --out {tmp_path}/run)"


def test_a_folder_stands_for_the_settings_that_open_it(tmp_path):
    (tmp_path / "images.csv").write_text("path,patient_id,label\na.png,1,normal\n")
    folder = mj.sources.Folder(tmp_path / "images.csv", plain_ids=True, bits_stored=12)
    config = mj.Study(source=folder, unit="whole").config
    assert (config.source, config.source_dir) == ("folder", tmp_path / "images.csv")
    assert (config.folder.plain_ids, config.folder.bits_stored, config.folder.frames) == (True, 12, "central")
    with pytest.raises(SettingError, match="bits_stored: the source has it; leave it out of the study"):
        mj.Study(source=folder, bits_stored=10)
    with pytest.raises(SettingError, match="source: int is neither a name nor a"):
        mj.Study(source=3)


def test_workers_do_not_run_the_callers_script_again(monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__file__", str(Path("script.py").absolute()), raising=False)
    monkeypatch.setattr(main, "__spec__", None)
    assert get_preparation_data("worker").get("init_main_from_path") == main.__file__
    with workers_without_main():
        assert not {"init_main_from_path", "init_main_from_name"} & get_preparation_data("worker").keys()
    assert main.__file__.endswith("script.py")
