"""Every flipped bit of a result is found by its hash, and what decodes otherwise by two other libraries."""

import random
import shutil

import numpy as np
import pytest
from dicom_files import dataset, write

import codec
from mammo_jax.compression import batch, verification
from mammo_jax.compression.batch import compress_files
from mammo_jax.compression.ladder import CompressionError
from mammo_jax.compression.listing import list_files
from mammo_jax.compression.plan import CompressionPlan
from mammo_jax.compression.verification import changed_files, read_written_files, verify_results
from mammo_jax.jobs import verify
from mammo_jax.limited_processes import Limits

y, x = np.mgrid[:60, :80]
PIXELS = (2000 + 1500 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint16)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    for module in (batch, verification):
        monkeypatch.setattr(module, "results_within_limits", lambda function, items, *_: map(function, items))


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    (folder / "Gerda").mkdir(parents=True)
    write(folder / "Gerda" / "1", dataset(PIXELS))
    (folder / "b.pgm").write_bytes(b"P5 80 60 4095\n" + PIXELS.astype(">u2").tobytes())
    shutil.copy(folder / "b.pgm", folder / "same.pgm")
    return folder


def compressed(archive, **settings):
    plan = CompressionPlan(**{"out": archive.parent / "out", "ratios": (10.0, 40.0), "key": b"k" * 32, **settings})
    compress_files(plan, list_files([archive], plan), 1, Limits())
    return plan.out


def problems(out):
    return verify_results(out, 1, Limits())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"jp2": True, "hashed_names": True},
        {"layers": True, "syntax": "j2k-lossless"},
        {"ratios": (), "syntax": "j2k-lossless"},
    ],
)
def test_what_was_written_passes(archive, settings):
    assert problems(compressed(archive, **settings)) == []


def test_200_of_200_flipped_bits_are_found(archive):
    out = compressed(archive)
    written = read_written_files(out)
    files = sorted(
        path for path in out.rglob("*") if path.is_file() and path.suffix != ".csv" and path.stem != "settings"
    )
    assert len(files) == 6
    rng = random.Random(0)
    for _ in range(200):
        path = rng.choice(files)
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        found, unchanged = changed_files(out, written)
        assert found[0] == f"{path.relative_to(out)}: has changed, or is no result of this run"
        assert len(found) == (3 if path.name in ("b.j2k", "same.j2k") else 2)  # equal results: both rows are named
        assert set(unchanged) == set(files) - {path}
        path.write_bytes(whole)
    assert changed_files(out, written)[0] == []


def test_a_result_that_is_missing_is_named_by_its_row(archive):
    out = compressed(archive)
    (out / "ratio_40" / "Gerda" / "1").unlink()
    (out / "ratio_10" / "same.j2k").unlink()  # the same bytes are still there under another name
    found = problems(out)
    assert set(found) == {
        f"{name}: its result is missing or has changed"
        for name in ("Gerda/1 at ratio 40.0", "b.pgm at ratio 10.0", "same.pgm at ratio 10.0")
    }


@pytest.mark.parametrize("library", verification.OTHER_DECODERS)
def test_another_library_that_decodes_otherwise_is_named(archive, library, monkeypatch):
    out = compressed(archive)
    decode = verification.OTHER_DECODERS[library]

    def differently(codestream):
        pixels = np.array(decode(codestream), np.int32)
        pixels[3, 4] += 9
        return pixels

    monkeypatch.setitem(verification.OTHER_DECODERS, library, differently)
    found = problems(out)
    assert len(found) == 6
    assert all(f"{library} decodes pixels that differ by up to" in line for line in found)


def test_a_table_without_hashes_is_refused(archive):
    out = compressed(archive)
    with pytest.raises(CompressionError, match=r"sizes.csv: is missing; give the folder"):
        read_written_files(archive)
    table = (out / "sizes.csv").read_text()
    (out / "sizes.csv").write_text(table.replace("file_sha256", "something"))
    with pytest.raises(CompressionError, match="without hashes; compress again"):
        read_written_files(out)


def test_the_job(archive, capsys):
    out = compressed(archive)
    verify.main([str(out)])
    assert "all files are as they were written" in capsys.readouterr().out
    path = out / "ratio_40" / "b.j2k"
    path.write_bytes(codec.encode(PIXELS, 41, bits_stored=12).codestream)
    with pytest.raises(SystemExit, match="3 problems; compress these files again"):
        verify.main([str(out)])
    assert "ratio_40/b.j2k: has changed" in capsys.readouterr().out
