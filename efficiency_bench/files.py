"""Files of this project's own: put in place complete or not at all, and opened without a link.

A run's folder or a ledger may come from somebody else.  A link or a device in it under one of our
names is refused, so that nothing elsewhere is read or written through it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path


def put(path: Path, content: bytes) -> None:
    """Write ``content`` under ``path``; what lay there before stays until it is complete.

    It is written aside under a name that nobody can foresee, forced to the disk and renamed, by
    any number of processes and hosts at once.  A link at ``path`` is replaced, not followed.
    Raises OSError where the disk does not take it, and leaves nothing aside.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with aside.open("xb") as file:
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


def open_own(path: str | os.PathLike[str], flags: int) -> int:
    """Descriptor of a regular file; the ``opener`` of ``open``.

    Raises OSError where ``path`` is a link or anything but a regular file, and as ``os.open``.
    """
    name = Path(path).name
    try:
        # not blocking: a pipe would wait for somebody at its other end
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, f"{name} is a link, which is not followed") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{name} is not a regular file")
    return descriptor


def read_regular(path: Path, largest_bytes: int) -> bytes:
    """The bytes of a regular file of at most ``largest_bytes``.

    Raises OSError for a larger one, and as ``open_own``: never waits at a pipe or a device.
    """
    with open(path, "rb", opener=open_own) as file:
        # the size is read and not asked for: a file may grow, and some say 0
        content = file.read(largest_bytes + 1)
    if len(content) > largest_bytes:
        raise OSError(errno.EFBIG, f"larger than {largest_bytes:,} bytes", str(path))
    return content
