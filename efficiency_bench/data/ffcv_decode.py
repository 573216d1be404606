"""FFCV's compiled functions at work: images of a .beton file decoded, cropped and resized.

Its shared library is loaded by itself, because importing the Python package compiles code for
5 to 15 seconds that would not be used here.  What is compiled here, the loop over a part of a
batch, runs without Python's lock, so that threads share the work.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from efficiency_bench.data.beton import Beton
from efficiency_bench.errors import UserError

TESTED = "1.0.2"
"""The version whose functions have the arguments below; they are no public interface."""

ALL_DECODED = -1

Part = tuple[Beton, np.ndarray, np.ndarray, np.ndarray]
"""Images, their crops int64 [n, 4] (top, left, height, width) and flips bool [n], and where they
go: uint8 [n, side, side, 3]."""


def decode(stored: np.ndarray, part: Part) -> None:
    """Fill the last of ``part`` from the file's bytes ``stored``.

    Raises UserError for an image whose JPEG is broken.
    """
    images, crops, flips, out = part
    place = compiled()(
        stored, images.begins, images.sizes, images.raw, images.heights, images.widths,
        crops, flips, out,
    )  # fmt: skip
    if place != ALL_DECODED:
        raise UserError(
            f"{images.path}: the image at byte {images.begins[place]} cannot be decoded;"
            " write the file again: efficiency-bench data write-ffcv SOURCE"
            f" {images.path.parent}"
        )


def library() -> ctypes.CDLL:
    """FFCV's shared library; UserError where it is not installed."""
    spec = importlib.util.find_spec("ffcv")
    if spec is None or spec.submodule_search_locations is None:
        raise UserError("FFCV is not installed; type `make ffcv` (it says what it needs)")
    if (found := version("ffcv")) != TESTED:
        raise UserError(f"FFCV {found} is installed, but {TESTED} is needed; type `make ffcv`")
    (file,) = Path(spec.submodule_search_locations[0]).glob("_libffcv*")
    try:
        return ctypes.CDLL(str(file))
    except OSError as error:
        raise UserError(f"FFCV cannot be loaded ({error}); type `make ffcv` again") from error


@functools.cache
def compiled() -> Callable[..., int]:
    """The loop over images, compiled at its first call (about 2 s) for any side and count."""
    shared = library()
    imdecode, resize = shared.imdecode, shared.resize
    pointer, flag = ctypes.c_void_p, ctypes.c_bool
    imdecode.argtypes = [pointer, ctypes.c_uint64, *[ctypes.c_uint32] * 2, pointer]
    imdecode.argtypes += [*[ctypes.c_uint32] * 6, flag, flag]
    resize.argtypes, resize.restype = [ctypes.c_int64] * 11, None
    return _compile(imdecode, resize)


def _compile(imdecode: Any, resize: Any) -> Callable[..., int]:
    from numba import njit

    @njit(nogil=True)
    def loop(
        stored: np.ndarray,
        begins: np.ndarray,
        sizes: np.ndarray,
        raw: np.ndarray,
        heights: np.ndarray,
        widths: np.ndarray,
        crops: np.ndarray,
        flips: np.ndarray,
        out: np.ndarray,
    ) -> int:
        whole = np.empty(3 * (heights * widths).max(), dtype=np.uint8)
        side = out.shape[1]
        for i in range(len(begins)):
            image = stored[begins[i] : begins[i] + sizes[i]]
            height, width = heights[i], widths[i]
            source = image.ctypes.data
            if not raw[i]:
                source = whole.ctypes.data
                failed = imdecode(
                    image.ctypes.data, image.size, height, width, source,
                    height, width, 0, 0, 1, 1, False, False,
                )  # fmt: skip
                if failed:
                    return i
            top, left = crops[i, 0], crops[i, 1]
            resize(
                0, source, height, width, top, top + crops[i, 2], left, left + crops[i, 3],
                out[i].ctypes.data, side, side,
            )  # fmt: skip
            if flips[i]:
                for row in range(side):
                    for column in range(side // 2):
                        for colour in range(3):
                            kept = out[i, row, column, colour]
                            out[i, row, column, colour] = out[i, row, side - 1 - column, colour]
                            out[i, row, side - 1 - column, colour] = kept
        return ALL_DECODED

    return loop
