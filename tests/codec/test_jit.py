"""The kernel cache: it is used when nothing changed and never when a callee in another file did."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import codec.jit
from codec.jit import kernel, leading_zeros, leading_zeros_64, trailing_zeros_64

MAIN = """
from package.caller import caller
print(caller(1), sum(caller.stats.cache_hits.values()))
"""


def run(folder: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", MAIN]
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_cached_kernel_is_reused_until_a_callee_in_another_file_is_edited(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    shutil.copy(codec.jit.__file__, package / "jit.py")
    callee = "from package.jit import kernel\n@kernel\ndef callee(x):\n    return x + {}\n"
    (package / "callee.py").write_text(callee.format(1))
    (package / "caller.py").write_text(
        "from package.jit import kernel\nfrom package.callee import callee\n"
        "@kernel(fastmath=True)\ndef caller(x):\n    return 10 * callee(x)\n"
    )
    assert run(tmp_path) == "20 0"
    assert run(tmp_path) == "20 1"
    (package / "callee.py").write_text(callee.format(2))
    assert run(tmp_path) == "30 0"
    assert run(tmp_path) == "30 1"
    assert len(list((tmp_path / "cache").rglob("*.nbc"))) == 2, "of each function the newest version alone"


def test_cached_kernel_is_compiled_again_when_the_class_of_an_argument_is_renamed(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    shutil.copy(codec.jit.__file__, package / "jit.py")
    caller = (
        "from typing import NamedTuple\nfrom package.jit import kernel\nclass {0}(NamedTuple):\n    x: int\n"
        "@kernel\ndef inner(pair):\n    return 10 * pair.x\n"
        "caller = lambda x: inner({0}(x))\ncaller.stats = inner.stats\n"
    )
    (package / "caller.py").write_text(caller.format("Pair"))
    assert run(tmp_path) == "10 0"
    (package / "caller.py").write_text(caller.format("Couple"))
    assert run(tmp_path) == "10 0"


@codec.jit.kernel
def _item_bytes(array):
    return array.itemsize


def compile_at_once(dtype, barrier):
    save = codec.jit.PackageCache.save_overload

    def save_with_the_other(cache, signature, compiled):
        barrier.wait(timeout=100)
        save(cache, signature, compiled)

    codec.jit.PackageCache.save_overload = save_with_the_other
    for dimensions in range(1, 9):
        _item_bytes(np.zeros((1,) * dimensions, dtype))


def call_from_cache(connection):
    arrays = [np.zeros((1,) * dimensions, dtype) for dtype in ("int8", "int64") for dimensions in range(1, 9)]
    connection.send(([_item_bytes(array) for array in arrays], sum(_item_bytes.stats.cache_hits.values())))


def test_two_processes_that_compile_at_once_keep_both_versions(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    compiling = [spawn.Process(target=compile_at_once, args=(dtype, barrier)) for dtype in ("int8", "int64")]
    for process in compiling:
        process.start()
    for process in compiling:
        process.join()
    receiver, sender = spawn.Pipe(duplex=False)
    calling = spawn.Process(target=call_from_cache, args=(sender,))
    calling.start()
    sender.close()
    assert receiver.recv() == ([1] * 8 + [8] * 8, 16)
    calling.join()


def test_digest_depends_on_names_and_contents(tmp_path):
    digests = set()
    for name, source in (("a.py", "x"), ("a.py", "y"), ("b.py", "y"), ("folder/b.py", "y"), ("note.txt", "z")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
        digests.add(codec.jit.source_digest(tmp_path))
    assert len(digests) == 4


@codec.jit.kernel
def _added(a, b):
    return a + b


@codec.jit.kernel
def _sums(x):
    return _added(1, x) + _added(x, 2) + _added(x, x)


def test_constants_are_compiled_as_any_other_integer(monkeypatch):
    monkeypatch.setattr(codec.jit.PackageCache, "load_overload", lambda *_: None)  # which would bring _sums alone
    assert _sums(3) == 4 + 5 + 6
    assert len(_added.signatures) == 1


@kernel
def bit_counts(value):
    return leading_zeros(np.int32(value)), leading_zeros_64(value), trailing_zeros_64(value)


def test_bit_counts():
    for top in range(31):
        for bottom in range(top + 1):
            value = 1 << top | 1 << bottom
            assert bit_counts(value) == (31 - top, 63 - top, bottom)
    assert [bit_counts(1 << top)[1:] for top in (31, 40, 62)] == [(32, 31), (23, 40), (1, 62)]
