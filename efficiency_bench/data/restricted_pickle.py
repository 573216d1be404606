"""Reading pickles of byte arrays and plain containers without running what they name.

An ordinary unpickler calls any function that a file names and lets it fill any object.  This one
hands out placeholders of its own in numpy's place: they note what the file says of an array, and
the array is made here, from bytes whose number fits the shape.  Nothing of numpy is reachable.
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
"""Of one file: CIFAR's largest has 155 MB."""

_UINT8 = ("u1", "|u1", "uint8")


class _RefusedError(Exception):
    """A pickle names something other than an array of bytes or a plain container."""


class _Array:
    """Stands for an array while it is read: its shape, its order and its bytes."""

    __slots__ = ("raw", "rows_first", "shape")

    def __setstate__(self, state: object) -> None:
        """Take (version, shape, dtype, is_fortran, bytes), as numpy writes an array's content."""
        _, shape, kind, by_columns, raw = _parts(state, 5)
        self._take(shape, kind, not by_columns, raw)

    def _take(self, shape: object, kind: object, rows_first: bool, raw: object) -> None:
        if not isinstance(kind, _ByteKind):
            raise _RefusedError("an array of an unknown type")
        self.raw = raw.encode("latin1") if isinstance(raw, str) else raw
        self.shape, self.rows_first = shape, rows_first

    def made(self) -> np.ndarray:
        """The array itself, uint8; ValueError where shape and bytes do not fit each other."""
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
    """Stands for numpy's uint8; what else a file says of it changes nothing."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Take byte order and field names, which one byte has none of."""


class _Name:
    """Stands for a function or class that a file names; it can be called and not be filled."""

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
    """Bytes as Python 3 writes them for Python 2: as text, with the call that turns them back."""
    if encoding != "latin1":
        raise _RefusedError(f"the encoding {encoding!r}")
    if not isinstance(text, str):
        raise _RefusedError("bytes that are no text")
    return text.encode("latin1")


def _parts(state: object, count: int) -> tuple[Any, ...]:
    if not isinstance(state, tuple) or len(state) != count:
        raise _RefusedError("an array in another layout")
    return state


# numpy 1 and 2 name the same functions differently
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
    """The dictionary pickled in ``path``, with Python 2's strings read as Latin-1.

    Arrays are uint8 and are the dictionary's own values.  UserError, naming the file, where it
    cannot be read, is cut short or damaged, holds no dictionary, or names anything but arrays of
    bytes and plain containers (nothing is run then).
    """
    try:
        with open(path, "rb", opener=open_own) as file:
            data = file.read(LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise UserError(f"{path} has over {LARGEST_BYTES >> 30} GiB: no file of an archive")
        _check_memo(data)
        content = _Unpickler(io.BytesIO(data), encoding="latin1").load()
        if isinstance(content, dict):
            content = {key: v.made() if isinstance(v, _Array) else v for key, v in content.items()}
    except _RefusedError as error:
        raise UserError(
            f"{path} names {error}, which no image archive needs; nothing of it was run."
            " Get the archive again from a source that you trust"
        ) from None
    except FileNotFoundError:
        raise UserError(f"{path} is missing; unpack the whole archive again") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UserError:
        raise
    except Exception as error:  # damaged pickles raise whatever their bytes happen to mean
        raise UserError(f"{path} is damaged or no pickle: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not an archive's dictionary")
    return content


def _check_memo(data: bytes) -> None:
    """Refuse places in the reader's memory that were skipped to: it would make room for all."""
    places = 0
    for code, argument, _ in pickletools.genops(data):
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            places += 1
            if argument is None or argument > places:
                raise ValueError(f"place {argument} where {places} are taken")
