"""Reading pickles of numpy arrays and plain containers without running what they name.

An ordinary unpickler calls any function that a file names; this one knows those by which numpy
writes an array and Python its bytes, and refuses the rest.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from efficiency_bench.errors import UserError


class _RefusedError(Exception):
    """A pickle names something other than an array or a plain container."""


def _bytes(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 writes them for Python 2: as text, with the call that turns them back."""
    if encoding != "latin1":
        raise _RefusedError(f"the encoding {encoding!r}")
    return text.encode("latin1")


# numpy 1 and 2 name the same functions differently; an array itself knows where they are.
_RECONSTRUCT: Any = np.empty(0).__reduce__()[0]
_FROM_BUFFER: Any = np.empty(0).__reduce_ex__(5)[0]

_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _bytes,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


def load(path: Path) -> dict[str, Any]:
    """The dictionary pickled in ``path``, with Python 2's strings read as Latin-1.

    UserError, naming the file, where it cannot be read, is cut short or damaged, holds no
    dictionary, or names anything but numpy arrays and plain containers (nothing is run then).
    """
    try:
        with path.open("rb") as file:
            content = _Unpickler(file, encoding="latin1").load()
    except _RefusedError as error:
        raise UserError(
            f"{path} names {error}, which no image archive needs; nothing of it was run."
            " Get the archive again from a source that you trust"
        ) from None
    except FileNotFoundError:
        raise UserError(f"{path} is missing; unpack the whole archive again") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # damaged pickles raise whatever their bytes happen to mean
        raise UserError(f"{path} is damaged or no pickle: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not an archive's dictionary")
    return content
