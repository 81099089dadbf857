import imagecodecs
import numpy as np
import pandas as pd
import pytest
from dicom_files import dataset, write

from mammo_jax.jobs import compress

PIXELS = np.add.outer(np.arange(64) * 9, np.arange(80) * 7).astype(np.uint16)


def test_the_job(tmp_path, capsys):
    (tmp_path / "key").write_bytes(b"k" * 32)
    write(tmp_path / "image.dcm", dataset(PIXELS))
    (tmp_path / "note.txt").write_text("no image")
    flags = ["--ratio", "20", "--out", str(tmp_path / "out"), "--id-key", str(tmp_path / "key")]
    compress.main([str(tmp_path / "image.dcm"), str(tmp_path / "note.txt"), *flags, "--workers", "1"])
    said = capsys.readouterr().out
    assert "left out: note.txt: is neither PNG" in said
    assert f"1 of 2 files: {tmp_path / 'out' / 'sizes.csv'}" in said
    assert (tmp_path / "out" / "image.dcm").stat().st_size > PIXELS.nbytes // 20
    with pytest.raises(SystemExit, match=r"error: .*another reference"):
        compress.main([str(tmp_path / "image.dcm"), *flags, "--reference", "stored"])


def test_bits_that_nothing_says_are_inferred_and_said(tmp_path, capsys):
    (tmp_path / "image.png").write_bytes(imagecodecs.png_encode(PIXELS))
    flags = ["--ratios", "10", "20", "--plain-ids", "--workers", "1"]
    compress.main([str(tmp_path / "image.png"), *flags, "--out", str(tmp_path / "inferred")])
    assert "bits stored: inferred as 12 from the largest pixel of 1 files" in capsys.readouterr().out
    compress.main([str(tmp_path / "image.png"), *flags, "--out", str(tmp_path / "told"), "--bits-stored", "12"])
    assert "bits stored" not in capsys.readouterr().out
    inferred, told = (pd.read_csv(tmp_path / name / "sizes.csv") for name in ("inferred", "told"))
    assert inferred["psnr"].tolist() == told["psnr"].tolist()
    assert inferred["bits_inferred"].all()
    assert not told["bits_inferred"].any()


def test_errors_are_one_line(tmp_path):
    with pytest.raises(SystemExit, match="error: a compression ratio is a finite number above 0"):
        compress.main([str(tmp_path), "--ratio", "-3", "--out", str(tmp_path / "out"), "--plain-ids"])
    with pytest.raises(SystemExit, match=r"error: ratio 0\.5 would make files larger than they are"):
        compress.main([str(tmp_path), "--ratio", "0.5", "--out", str(tmp_path / "out"), "--plain-ids"])
    with pytest.raises(SystemExit, match="error: no file could be compressed"):
        compress.main([str(tmp_path / "missing"), "--ratio", "3", "--out", str(tmp_path / "out"), "--plain-ids"])
