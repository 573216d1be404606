"""Write image folders as .beton files: a watched process writes, this one checks the result."""

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
    locked,
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
"""A writer that reports no further image for this long is terminated.  Before the first image it
lists the folder, perhaps on a slow drive, and imports FFCV."""

ENDING_SECONDS = 10.0
"""How long the writer and its workers may take to terminate before they are killed."""

PACKAGES = ("efficiency-bench", "ffcv", "opencv-python", "pillow")


@dataclass(frozen=True)
class FfcvOptions:
    """What to write, and how."""

    source: Path
    out: Path
    storage: Storage
    workers: int
    allow_left_out: bool = False


def write_ffcv(
    options: FfcvOptions, progress: ProgressCallback, tell: Tell = quiet
) -> list[BetonRecord]:
    """Write ``train.beton`` and ``val.beton`` into ``options.out``, each with its record.

    ``tell`` gets one line on the source.  An existing file of the same source and storage is kept;
    any other existing file is an error.  An interrupted write leaves nothing that looks finished.

    Raises UserError for folders that no run could use, unreadable images, and a failing writer.
    """
    library()  # fails at once if FFCV is missing
    splits = source_splits(options.source, options.allow_left_out, tell)
    source_digest = splits.digest()
    todo = {"train": splits.train, "val": splits.val}
    with locked(options.out):
        files = {split: ffcv_splits.file_of(options.out, split) for split in todo}
        found = {
            split: _already_there(files[split], source_digest, options.storage) for split in todo
        }
        if all(found.values()):
            return [record for record in found.values() if record]
        facts = source_facts(splits)
        return [
            found[split] or _write_file(files[split], photos, facts[split], options, progress)
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
    file: Path,
    photos: PhotoSet,
    facts: SourceFacts,
    options: FfcvOptions,
    progress: ProgressCallback,
) -> BetonRecord:
    """Write one file, check it, and give it its name; the record is written last."""
    draft = new_draft(file)

    def shown(what: str) -> Callable[[int], None]:
        return lambda done: progress(f"{what} {file.name}", done, len(photos))

    try:
        _run_writer(draft, photos, options, shown("writing"))
        stored = beton.read(draft)
        _check_against(stored, photos, options, shown("reading"))
        record = BetonRecord(
            file=file.name,
            images=len(stored),
            classes=photos.classes,
            storage=options.storage,
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
    draft: Path, photos: PhotoSet, options: FfcvOptions, progress: Callable[[int], None]
) -> None:
    """Run the writer and report how many images it has read; UserError if it fails."""
    with tempfile.TemporaryFile() as errors, _writer(draft, photos, options, errors) as writer:
        assert writer.stdout is not None
        done, since = -1, time.monotonic()
        while line := _line(writer.stdout, since + STALLED_SECONDS - time.monotonic()):
            if (count := int(line)) != done:
                done, since = count, time.monotonic()
                progress(done)
        if writer.wait() != 0:
            raise UserError(
                f"{options.out} cannot be written: {_last_line(errors)};"
                " mend what it names, or name another --out, and run the command again"
            )


def _line(stream: IO[bytes], seconds: float) -> bytes:
    """The next line, or empty at the end; UserError if none arrives within ``seconds``."""
    if not select.select([stream], [], [], max(0.0, seconds))[0] or seconds <= 0:
        raise UserError(f"FFCV's writer stalled: no image in {STALLED_SECONDS:g} s; try again")
    return stream.readline()


@contextlib.contextmanager
def _writer(
    draft: Path, photos: PhotoSet, options: FfcvOptions, errors: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the writer in its own process group, which is always terminated afterwards."""
    process = subprocess.Popen(
        [sys.executable, *WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        bufsize=0,  # select does not see lines that are already buffered
        start_new_session=True,
        # no progress bar, and no warnings after the line with the error
        env={**os.environ, "TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"},
    )
    what = {"folder": str(photos.folder), "file": str(draft), "workers": options.workers}
    with process:
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({**what, **options.storage.model_dump()}).encode())
            process.stdin.close()
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Terminate the writer and its workers: SIGTERM first, so that they free shared memory."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_SECONDS)
            return


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "the writer was killed (out of memory?)"


def _check_against(
    stored: Beton, photos: PhotoSet, options: FfcvOptions, progress: Callable[[int], None]
) -> None:
    """UserError unless every image of the source is there, in order, and can be decoded."""
    again = folder.scan(photos.folder)
    same = np.array_equal(again.paths, photos.paths) and np.array_equal(again.sizes, photos.sizes)
    if not same or not np.array_equal(stored.labels, photos.labels.numpy()):
        raise UserError(f"{photos.folder} changed while it was read; run the command again")
    raw = options.storage.mode == "raw"
    longest = max(int(stored.widths.max()), int(stored.heights.max()))
    if (stored.raw != raw).any() or longest > options.storage.max_px:
        raise UserError(f"{stored.path} was not stored as requested; run the command again")
    crops = centre_crops(stored.heights, stored.widths, 1.0)
    whole, file = CropBatch(stored, crops, np.zeros(len(stored), dtype=bool)), stored.mapped()

    def decoded(places: np.ndarray) -> int:
        out = np.empty((len(places), 1, 1, 3), dtype=np.uint8)
        decode(file, whole.at(places), out)
        return len(places)

    done, parts = 0, np.array_split(np.arange(len(stored)), -(-len(stored) // 100))
    pool = ThreadPoolExecutor(options.workers)
    try:
        for count in pool.map(decoded, parts):
            done += count
            progress(done)
    finally:
        pool.shutdown(cancel_futures=True)  # on Ctrl-C, do not decode the other images
