"""The decorator of every compiled function of the codec: `numba.njit` with a cache on disk that is never stale.

Numba's own ``cache=True`` looks only at the file in which a function is defined, so an edited callee in another file
silently runs in its old form. It also numbers the files of a function's versions in an index that it reads and writes
without a lock, so that two processes that compile at once can give one file to two versions, and the wrong machine code
runs later. Here there is no index: the name of a version's file follows from the sources of the package and from the
types of its arguments, so after any edit everything is compiled again, and every version has a file of its own.
"""

import glob
import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic


def source_digest(folder: Path) -> str:
    """Hexadecimal SHA-256 over the paths and contents of all ``*.py`` files in `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        source = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(source)}\0".encode() + source)
    return digest.hexdigest()


SOURCE_DIGEST = source_digest(Path(__file__).parent)
DIGITS = 24  # of a digest, in a file's name


class KernelFiles(IndexDataCacheFile):
    """The compiled versions of one function, each in a file of its own, without Numba's index."""

    def save(self, key: tuple, data: Any) -> None:
        """Write a version whole or not at all, and remove those that other sources of the package have left."""
        current = self._path(key)
        self._save_data(current.name, (key, data))
        for path in current.parent.glob(f"{glob.escape(self._function)}.*.nbc"):
            if not path.name.startswith(f"{self._function}.{SOURCE_DIGEST[:DIGITS]}"):
                path.unlink(missing_ok=True)

    def load(self, key: tuple) -> Any:
        """Read a version; None where it is missing."""
        try:
            stored_key, data = self._load_data(self._path(key).name)
        except FileNotFoundError:
            return None
        return data if stored_key == key else None

    @property
    def _function(self) -> str:
        return self._index_name.removesuffix(".nbi")

    def _path(self, key: tuple) -> Path:
        """Where the version with this key (types of the arguments, processor, bytecode) lies."""
        version = hashlib.sha256(f"{numba.__version__}\0{key}".encode()).hexdigest()
        return Path(self._cache_path, f"{self._function}.{SOURCE_DIGEST[:DIGITS]}-{version[:DIGITS]}.nbc")


class PackageCache(FunctionCache):
    """Numba's cache on disk, with `KernelFiles`."""

    def __init__(self, function: Callable):
        super().__init__(function)
        self._cache_file = KernelFiles(self._cache_path, self._impl.filename_base, SOURCE_DIGEST)


def kernel(function: Callable | None = None, **options: Any) -> Any:
    """Compile `function` with Numba: no Python objects, no interpreter lock, cached on disk.

    Use as ``@kernel`` or ``@kernel(fastmath=True)``; `options` go to `numba.njit`. Division follows NumPy's rules
    (no check for zero), and indices are not checked: the caller must keep them in range.
    """
    if function is None:
        return lambda wrapped: kernel(wrapped, **options)
    compiled = numba.njit(nogil=True, error_model="numpy", **options)(function)
    compiled._cache = PackageCache(function)
    compiled.get_call_template = partial(_call_template, compiled.get_call_template)
    return compiled


def _call_template(get_call_template: Callable, args: tuple, kws: dict) -> Any:
    """Let a call with a constant from another kernel, as ``f(0)``, use the version that is compiled for any integer."""
    return get_call_template(tuple(map(types.unliteral, args)), {name: types.unliteral(kws[name]) for name in kws})


def _bit_count(name: str, width: int) -> Any:
    """An intrinsic for kernels, of one instruction: `name` of a positive integer of `width` bits."""

    def of_type(typing_context, value):  # noqa: ARG001
        number = types.Integer.from_bitwidth(width)

        def generate(context, builder, signature, arguments):  # noqa: ARG001
            return getattr(builder, name)(arguments[0], ir.Constant(ir.IntType(1), 1))

        return number(number), generate

    return intrinsic(of_type)


leading_zeros: Any = _bit_count("ctlz", 32)
leading_zeros_64: Any = _bit_count("ctlz", 64)
trailing_zeros_64: Any = _bit_count("cttz", 64)
