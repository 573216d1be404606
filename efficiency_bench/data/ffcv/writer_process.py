"""Write one .beton file with FFCV's writer: the process that ``write.py`` starts and watches.

    python -m efficiency_bench.data.ffcv.writer_process < options.json

It prints the number of images written twice a second.  FFCV's writer waits forever for a worker
that died; here the whole process group ends, and the last line on standard error says why.
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
MIN_PAGE_BYTES = 1 << 24
"""Smallest page.  FFCV's writer hangs on an image larger than a page; this is twice its default."""


def main() -> None:
    """Write one file; standard input holds folder, file, storage and workers as JSON."""
    order = json.load(sys.stdin)
    photos = _WriterImages(folder.scan(Path(order["folder"])), order["max_px"])
    # blocked before the first worker starts, so that the watcher sees every exit
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    watcher = threading.Thread(target=_watch, args=(photos, os.getppid()), daemon=True)
    watcher.start()
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    image = RGBImageField(
        write_mode=order["mode"],
        max_resolution=order["max_px"],
        jpeg_quality=order["jpeg_quality"] or 0,  # ignored if pixels are stored
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
    return max(MIN_PAGE_BYTES, 1 << (6 * max_px**2 - 1).bit_length())


class _WriterImages:
    """Decoded images with labels, as FFCV's writer expects; counts the images that were read."""

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
            sys.exit(
                f"the image {path} of {image.size} px is too narrow: reduced, it has no pixels left"
            )
        with self._given.get_lock():
            self._given.value += 1
        return image, int(self._photos.labels[index])

    def read(self) -> int:
        """Number of images that the workers have read so far."""
        return self._given.value


def _watch(photos: _WriterImages, parent: int) -> None:
    """Report progress; end the whole process group if a worker fails or the parent is gone.

    Polling the list of children would miss a worker that starts and fails between two polls.
    """
    while True:
        print(photos.read(), flush=True)
        ended = signal.sigtimedwait({signal.SIGCHLD}, REPORT_SECONDS)
        # si_status is an exit code or a signal number; stopped workers are not counted
        ends = (os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED)
        failed = ended is not None and ended.si_code in ends and ended.si_status != 0
        if failed or os.getppid() != parent:
            os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    main()
