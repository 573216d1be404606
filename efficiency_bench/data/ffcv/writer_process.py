"""One .beton file written by FFCV's writer: the process that ffcv_write starts and watches.

    python -m efficiency_bench.data.ffcv.writer_process < order.json

It prints the number of images written twice a second.  FFCV's writer waits for ever for a worker
that died; here one ends everything, and the last line on standard error says why.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

from PIL import Image

from efficiency_bench.data import folder
from efficiency_bench.data.folder import PhotoSet
from efficiency_bench.data.rgb_image import open_rgb

REPORT_SECONDS = 0.5
LEAST_PAGE_BYTES = 1 << 24
"""FFCV's writer hangs on an image larger than a page; this is twice its default page."""


def main() -> None:
    """Write what the JSON on standard input orders: folder, file, storage and workers."""
    order = json.load(sys.stdin)
    photos = _WriterImages(folder.scan(Path(order["folder"])), order["max_px"])
    # blocked before the first worker starts, so that the watcher hears of every end
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    watcher = threading.Thread(target=_watch, args=(photos, os.getppid()), daemon=True)
    watcher.start()
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    image = RGBImageField(
        write_mode=order["mode"],
        max_resolution=order["max_px"],
        jpeg_quality=order["jpeg_quality"] or 0,  # not looked at where pixels are stored
    )
    writer = DatasetWriter(
        order["file"],
        {"image": image, "label": IntField()},
        num_workers=order["workers"],
        page_size=page_bytes(order["max_px"]),
    )
    writer.from_indexed_dataset(photos)


def page_bytes(max_px: int) -> int:
    """A power of two that holds two images of ``max_px`` by ``max_px``, stored as pixels."""
    return max(LEAST_PAGE_BYTES, 1 << (6 * max_px**2 - 1).bit_length())


class _WriterImages:
    """Decoded images with labels, as FFCV's writer wants a data set; counts what was given."""

    def __init__(self, photos: PhotoSet, max_px: int) -> None:
        self._photos = photos
        self._max_px = max_px
        self._given = multiprocessing.Value("q", 0)

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        path = self._photos.path(index)
        try:
            image = open_rgb(str(path))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            sys.exit(f"cannot read the image {path}: {error}")
        if min(image.size) * self._max_px < max(image.size):
            sys.exit(f"the image {path} of {image.size} px has no pixel left when it is reduced")
        with self._given.get_lock():
            self._given.value += 1
        return image, int(self._photos.labels[index])

    def given(self) -> int:
        """Images that the workers have taken so far."""
        return self._given.value


def _watch(photos: _WriterImages, parent: int) -> None:
    """Report progress; end the whole process group where a worker failed or nobody waits.

    A list of the children would not show a worker that began and failed between two looks.
    """
    while True:
        print(photos.given(), flush=True)
        ended = signal.sigtimedwait({signal.SIGCHLD}, REPORT_SECONDS)
        # an exit status, or the number of the signal that ended it; one that is stopped goes on
        ends = (os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED)
        failed = ended is not None and ended.si_code in ends and ended.si_status != 0
        if failed or os.getppid() != parent:
            os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    main()
