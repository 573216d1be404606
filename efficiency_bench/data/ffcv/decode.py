"""Decode, crop and resize images of a .beton file with FFCV's compiled functions.

Only its shared library is loaded, because importing the Python package takes 5 to 15 seconds to
compile code that is not used here.  The loop over images is compiled here and runs without the GIL,
so that threads can share a batch.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from efficiency_bench.data.ffcv.beton import Beton
from efficiency_bench.errors import UserError

TESTED = "1.0.2"
"""The version whose functions have the arguments below; they are not a public interface."""

ALL_DECODED = -1


@dataclass(frozen=True)
class CropBatch:
    """Images to decode, with the crop and flip of each."""

    images: Beton
    crops: np.ndarray
    """int64 [n, 4]: top, left, height, width."""
    flips: np.ndarray
    """bool [n]."""

    def at(self, indices: np.ndarray) -> CropBatch:
        """The images at ``indices``, in that order."""
        return CropBatch(self.images.subset(indices), self.crops[indices], self.flips[indices])


def decode(stored: np.ndarray, part: CropBatch, out: np.ndarray) -> None:
    """Decode ``part`` from the file's bytes ``stored`` into ``out``, uint8 [n, side, side, 3].

    Raises UserError for a broken JPEG.
    """
    images = part.images
    place = compiled().decode(
        stored, images.begins, images.sizes, images.raw, images.heights, images.widths,
        part.crops, part.flips, out,
    )  # fmt: skip
    if place != ALL_DECODED:
        raise UserError(
            f"{images.path}: the image at byte {images.begins[place]} cannot be decoded;"
            " write the file again: efficiency-bench data write-ffcv SOURCE"
            f" {images.path.parent}"
        )


def library() -> ctypes.CDLL:
    """Load FFCV's shared library; UserError if it is not installed."""
    spec = importlib.util.find_spec("ffcv")
    if spec is None or spec.submodule_search_locations is None:
        raise UserError("FFCV is not installed; type `make ffcv` (it prints what it needs)")
    if (found := version("ffcv")) != TESTED:
        raise UserError(f"FFCV {found} is installed, but {TESTED} is needed; type `make ffcv`")
    (file,) = Path(spec.submodule_search_locations[0]).glob("_libffcv*")
    try:
        return ctypes.CDLL(str(file))
    except OSError as error:
        raise UserError(f"FFCV cannot be loaded ({error}); type `make ffcv` again") from error


def decode_normalised(
    stored: np.ndarray, table: np.ndarray, part: CropBatch, out: np.ndarray
) -> None:
    """Decode ``part`` and normalise it into ``out``, float32 [n, side, side, 3].

    ``table``, float32 [3, 256], holds the normalised value of each pixel value.  On a CPU, looking
    values up takes a tenth of the time of torch's arithmetic, and runs in the decoding threads.
    """
    pixels = np.empty(out.shape, dtype=np.uint8)
    decode(stored, part, pixels)
    compiled().look_up(pixels.reshape(-1, 3), table, out.reshape(-1, 3))


class Loops(NamedTuple):
    """Loops for any side and number of images; their first call compiles them in about 2 s."""

    decode: Callable[..., int]
    look_up: Callable[..., None]


@functools.cache
def compiled() -> Loops:
    """The loops, which call FFCV's functions; UserError if FFCV is not installed."""
    shared = library()
    imdecode, resize = shared.imdecode, shared.resize
    pointer, flag = ctypes.c_void_p, ctypes.c_bool
    imdecode.argtypes = [pointer, ctypes.c_uint64, *[ctypes.c_uint32] * 2, pointer]
    imdecode.argtypes += [*[ctypes.c_uint32] * 6, flag, flag]
    resize.argtypes, resize.restype = [ctypes.c_int64] * 11, None
    return Loops(_decode_loop(imdecode, resize), _look_up_loop())


def _decode_loop(imdecode: Any, resize: Any) -> Callable[..., int]:
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


def _look_up_loop() -> Callable[..., None]:
    from numba import njit

    @njit(nogil=True)
    def loop(pixels: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
        for i in range(len(pixels)):
            for colour in range(3):
                out[i, colour] = table[colour, pixels[i, colour]]

    return loop
