"""Read pickles of byte arrays and plain containers without running any code that they name.

A normal unpickler calls any function that a file names and lets it set the state of any object.
This one substitutes placeholders for numpy: they record the file's description of an array, and
the array is built here, after checking that the bytes match the shape.  A file cannot reach numpy.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from pathlib import Path
from typing import Any, Literal

import numpy as np

from efficiency_bench.errors import UserError
from efficiency_bench.files import open_own

LARGEST_BYTES = 1 << 30
"""Largest accepted file; CIFAR's largest has 155 MB."""

AGAIN = "get the archive again from a source that you trust"

_UINT8 = ("u1", "|u1", "uint8")


class _RefusedError(Exception):
    """A pickle names something other than an array of bytes or a plain container."""


class _Array:
    """Placeholder for an array: its shape, memory order and bytes."""

    __slots__ = ("raw", "rows_first", "shape")

    def __setstate__(self, state: object) -> None:
        """Accept (version, shape, dtype, is_fortran, bytes), numpy's array state."""
        _, shape, kind, by_columns, raw = _parts(state, 5)
        self._take(shape, kind, not by_columns, raw)

    def _take(self, shape: object, kind: object, rows_first: bool, raw: object) -> None:
        if not isinstance(kind, _ByteKind):
            raise _RefusedError("an array of an unknown type")
        self.raw = raw.encode("latin1") if isinstance(raw, str) else raw
        self.shape, self.rows_first = shape, rows_first

    def build(self) -> np.ndarray:
        """Build the array, uint8; ValueError if the bytes do not match the shape."""
        shape, raw = getattr(self, "shape", None), getattr(self, "raw", None)
        if not isinstance(shape, tuple) or not isinstance(raw, bytes | bytearray):
            raise ValueError("an array without a shape or bytes")
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"an array of shape {shape}")
        if math.prod(shape) != len(raw):
            raise ValueError(f"an array of shape {shape} has {len(raw)} bytes")
        order: Literal["C", "F"] = "C" if self.rows_first else "F"
        return np.frombuffer(raw, dtype=np.uint8).reshape(shape, order=order).copy(order="C")


class _ByteKind:
    """Placeholder for numpy's uint8; its state is ignored."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and field names, which a single byte does not have."""


class _Name:
    """Placeholder for a function or class that a file names: callable, but without state."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        raise _RefusedError(f"a state for {self.name}")

    def __call__(self, *arguments: object) -> object:
        if self.name == "_reconstruct":
            return _Array()
        if self.name == "_frombuffer":
            return _from_buffer(*_parts(arguments, 4))
        if self.name == "dtype":
            return _byte_kind(arguments)
        if self.name == "encode":
            return _encoded(*_parts(arguments, 2))
        raise _RefusedError(f"a call of {self.name}")


def _from_buffer(raw: object, kind: object, shape: object, order: object) -> _Array:
    array = _Array()
    array._take(shape, kind, order == "C", raw)
    return array


def _byte_kind(arguments: tuple[object, ...]) -> _ByteKind:
    kind = arguments[0] if arguments else None
    if kind not in _UINT8:
        raise _RefusedError(f"numpy.dtype({kind!r})")
    return _ByteKind()


def _encoded(text: object, encoding: object) -> bytes:
    """Decode bytes that Python 3 pickled for Python 2: as text, with a call of ``encode``."""
    if encoding != "latin1":
        raise _RefusedError(f"the encoding {encoding!r}")
    if not isinstance(text, str):
        raise _RefusedError("bytes that are not text")
    return text.encode("latin1")


def _parts(state: object, count: int) -> tuple[Any, ...]:
    if not isinstance(state, tuple) or len(state) != count:
        raise _RefusedError("an array in another layout")
    return state


# numpy 1 and 2 have different names for the same functions
_KNOWN = {
    (module, name)
    for core in ("numpy.core", "numpy._core")
    for module, name in ((f"{core}.multiarray", "_reconstruct"), (f"{core}.numeric", "_frombuffer"))
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise _RefusedError(f"{module}.{name}")
        return _Name(name)


def load(path: Path) -> dict[str, Any]:
    """Return the dictionary pickled in ``path``, reading Python 2's strings as Latin-1.

    Arrays are uint8, and only direct values of the dictionary.  UserError if the file is
    unreadable, truncated or damaged, is not a dictionary, or names anything but byte arrays and
    plain containers; no code is run in that case.
    """
    try:
        with open(path, "rb", opener=open_own) as file:
            data = file.read(LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise UserError(
                f"{path} has over {LARGEST_BYTES >> 30} GiB, so it is not from an archive; {AGAIN}"
            )
        _check_memo(data)
        content = _Unpickler(io.BytesIO(data), encoding="latin1").load()
        if isinstance(content, dict):
            content = {key: v.build() if isinstance(v, _Array) else v for key, v in content.items()}
    except _RefusedError as error:
        raise UserError(
            f"{path} names {error}, which no image archive needs; no code was run; {AGAIN}"
        ) from None
    except FileNotFoundError:
        raise UserError(f"{path} is missing; unpack the whole archive again") from None
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror or error}; make it readable, or name another"
            " data.root="
        ) from error
    except UserError:
        raise
    except Exception as error:  # damaged pickles may raise anything
        raise UserError(f"{path} is damaged or not a pickle: {error}; {AGAIN}") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} contains a {type(content).__name__}, not an archive's dictionary; {AGAIN}"
        )
    return content


def _check_memo(data: bytes) -> None:
    """ValueError if a memo index is skipped: the unpickler would allocate all indices below it."""
    places = 0
    for code, argument, _ in pickletools.genops(data):
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            places += 1
            if argument is None or argument > places:
                raise ValueError(f"memo index {argument} after {places} entries")
