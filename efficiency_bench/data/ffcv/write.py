"""From image folders to .beton files: written by a watched process, checked, then named."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from efficiency_bench.data import folder
from efficiency_bench.data.crops import centre_crops
from efficiency_bench.data.ffcv import beton
from efficiency_bench.data.ffcv import splits as ffcv_splits
from efficiency_bench.data.ffcv.beton import Beton, BetonRecord, Storage, read_recorded
from efficiency_bench.data.ffcv.decode import CropBatch, decode, library
from efficiency_bench.data.folder import PhotoSet
from efficiency_bench.data.image_set import Tell, quiet
from efficiency_bench.data.stored_files import (
    ProgressCallback,
    SourceFacts,
    finish,
    held,
    new_draft,
    other_than,
    record_path,
    sha256_of,
    source_facts,
    source_splits,
    versions_of,
)
from efficiency_bench.errors import UserError

WRITER = ("-m", "efficiency_bench.data.ffcv.writer_process")

STALLED_SECONDS = 300.0
"""A writer that reports no further image for this long is ended; listing the folder of a slow
drive and importing FFCV come before the first image."""

ENDING_SECONDS = 10.0
"""How long the writer and its workers may take to end when told to, before they are killed."""

PACKAGES = ("efficiency-bench", "ffcv", "opencv-python", "pillow")


@dataclass(frozen=True)
class FfcvOptions:
    """What to write."""

    source: Path
    out: Path
    storage: Storage
    workers: int
    allow_left_out: bool = False


def write_ffcv(
    order: FfcvOptions, progress: ProgressCallback, tell: Tell = quiet
) -> list[BetonRecord]:
    """Write ``train.beton`` and ``val.beton`` into ``order.out``, each with its record.

    ``tell`` is given one line on the source.

    A file that is there already, of the same source and storage, is left as it is; any other
    is refused.  Nothing that looks finished is left where this is broken off.  Raises UserError
    for folders that no run could use, images that cannot be read and a writer that fails.
    """
    library()  # says at once where FFCV is missing
    splits = source_splits(order.source, order.allow_left_out, tell)
    source_digest = splits.digest()
    todo = {"train": splits.train, "val": splits.val}
    with held(order.out):
        files = {split: ffcv_splits.file_of(order.out, split) for split in todo}
        found = {
            split: _already_there(files[split], source_digest, order.storage) for split in todo
        }
        if all(found.values()):
            return [record for record in found.values() if record]
        facts = source_facts(splits)
        return [
            found[split] or _write_file(files[split], photos, facts[split], order, progress)
            for split, photos in todo.items()
        ]


def _already_there(file: Path, source_digest: str, storage: Storage) -> BetonRecord | None:
    if not record_path(file).exists():
        return None
    _, record = read_recorded(file)
    if (record.source_digest, record.storage) != (source_digest, storage):
        raise other_than(file)
    return record


def _write_file(
    file: Path, photos: PhotoSet, facts: SourceFacts, order: FfcvOptions, progress: ProgressCallback
) -> BetonRecord:
    """Write, check and name one file.  The record comes last: without one nothing is finished."""
    draft = new_draft(file)

    def shown(what: str) -> Callable[[int], None]:
        return lambda done: progress(f"{what} {file.name}", done, len(photos))

    try:
        _run_writer(draft, photos, order, shown("writing"))
        stored = beton.read(draft)
        _check_against(stored, photos, order, shown("reading"))
        record = BetonRecord(
            file=file.name,
            images=len(stored),
            classes=photos.classes,
            storage=order.storage,
            **facts,
            content_digest=stored.content_digest(shown("digest of")),
            sha256=sha256_of(draft),
            bytes=draft.stat().st_size,
            versions=versions_of(PACKAGES),
        )
        finish(file, record)
    finally:
        draft.unlink(missing_ok=True)
    return record


def _run_writer(
    draft: Path, photos: PhotoSet, order: FfcvOptions, progress: Callable[[int], None]
) -> None:
    """Run the writer to its end and tell how many images it has taken; UserError if it fails."""
    with tempfile.TemporaryFile() as said, _writer(draft, photos, order, said) as writer:
        assert writer.stdout is not None
        done, since = -1, time.monotonic()
        while line := _line(writer.stdout, since + STALLED_SECONDS - time.monotonic()):
            if (count := int(line)) != done:
                done, since = count, time.monotonic()
                progress(done)
        if writer.wait() != 0:
            raise UserError(f"{order.out} cannot be written: {_last_line(said)}")


def _line(stream: IO[bytes], seconds: float) -> bytes:
    """The next line, empty at the end; UserError where none comes within ``seconds``."""
    if not select.select([stream], [], [], max(0.0, seconds))[0] or seconds <= 0:
        raise UserError(f"FFCV's writer stands still: no image in {STALLED_SECONDS:g} s; try again")
    return stream.readline()


@contextlib.contextmanager
def _writer(
    draft: Path, photos: PhotoSet, order: FfcvOptions, said: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """The writer's process in a group of its own, which is ended in any case."""
    process = subprocess.Popen(
        [sys.executable, *WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        bufsize=0,  # a line that lies in a buffer would not wake select
        start_new_session=True,
        # no bar of the writer's own, and no warning after the line that says why it failed
        env={**os.environ, "TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"},
    )
    what = {"folder": str(photos.folder), "file": str(draft), "workers": order.workers}
    with process:
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({**what, **order.storage.model_dump()}).encode())
            process.stdin.close()
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the writer and its workers: asked first, so that shared memory is given back."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_SECONDS)
            return


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "the writer was killed (for want of memory?)"


def _check_against(
    stored: Beton, photos: PhotoSet, order: FfcvOptions, progress: Callable[[int], None]
) -> None:
    """Every image of the source is there, in order, and can be decoded; UserError otherwise."""
    again = folder.scan(photos.folder)
    same = np.array_equal(again.paths, photos.paths) and np.array_equal(again.sizes, photos.sizes)
    if not same or not np.array_equal(stored.labels, photos.labels.numpy()):
        raise UserError(f"{photos.folder} was changed while it was written; write it again")
    raw = order.storage.mode == "raw"
    longest = max(int(stored.widths.max()), int(stored.heights.max()))
    if (stored.raw != raw).any() or longest > order.storage.max_px:
        raise UserError(f"{stored.path} is not stored as asked for; write it again")
    crops = centre_crops(stored.heights, stored.widths, 1.0)
    whole, file = CropBatch(stored, crops, np.zeros(len(stored), dtype=bool)), stored.mapped()

    def decoded(places: np.ndarray) -> int:
        out = np.empty((len(places), 1, 1, 3), dtype=np.uint8)
        decode(file, whole.at(places), out)
        return len(places)

    done, parts = 0, np.array_split(np.arange(len(stored)), -(-len(stored) // 100))
    pool = ThreadPoolExecutor(order.workers)
    try:
        for count in pool.map(decoded, parts):
            done += count
            progress(done)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest of the images
