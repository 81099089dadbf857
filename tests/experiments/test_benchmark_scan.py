"""The archive of the scan's benchmark: every file is a mammogram of its own."""

from scan_archive import row_of

from experiments.benchmark_scan import Run, ScanBenchmarkConfig, benchmark, generate


def test_every_file_is_another_mammogram(tmp_path):
    generate(tmp_path, 12)
    rows = [row_of(path) for path in sorted(tmp_path.rglob("*.dcm"))]
    assert {row["left_out"] for row in rows} == {""}
    for column, count in {"instance_id": 12, "pixels_hash": 12, "study_id": 3, "patient_id": 2}.items():
        assert len({row[column] for row in rows}) == count, column
    assert {f"{row['laterality']} {row['view']}" for row in rows[:4]} == {"L CC", "L MLO", "R CC", "R MLO"}


def test_the_table(tmp_path, monkeypatch, capsys):
    def scan(folder, out, workers, kill_after=None):
        out.mkdir(exist_ok=True)
        (out / "scan.csv").write_text("x" * 2000)
        return Run(2.0, 3.0, 10**8)

    monkeypatch.setattr("experiments.benchmark_scan._scan", scan)
    benchmark(ScanBenchmarkConfig(files=(100,), workers=2, folder=tmp_path), [])
    assert "| 100 | 2.0 | 50 | 30.0 ms | 100 MB | 2.0 s, 100 MB | 2.0 s | 0.0 MB |" in capsys.readouterr().out
