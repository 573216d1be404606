"""Putting a file in place complete and on the disk, or not at all."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path


def put(path: Path, content: bytes) -> None:
    """Write ``content`` under ``path``; what lay there before stays until it is complete.

    It is written aside, forced to the disk and renamed, by any number of processes and hosts at
    once.  Raises OSError where the disk does not take it, and leaves nothing aside.
    """
    aside = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
