"""A few of the mutants of fuzz_compress.py, in this process: each gives a result or a reason that is its own fault."""

from fuzz_compress import FAULTS, compress_mutants, mutant, seed_files

from mammo_jax.compression import batch


def test_changed_files_give_a_result_or_one_clear_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "results_within_limits", lambda function, items, *_: map(function, items))
    monkeypatch.delenv("MAMMO_SHARED_DATA", raising=False)
    files = seed_files(tmp_path)
    left_out = compress_mutants(tmp_path, files, range(200), 1)
    results = [path for path in (tmp_path / "out").iterdir() if path.suffix == ".dcm"]
    assert len(results) + len(left_out) == 201
    assert len(results) > 30
    assert len({file.reason for file in left_out}) > 20
    assert [f"{file.name}: {file.reason}" for file in left_out if FAULTS.search(file.reason)] == []
    assert mutant(files, 5) == mutant(files, 5) != mutant(files, 6)
