"""Atomic writes, link-free reads and locks of this project's own files.

A run folder or a ledger may come from somebody else.  A link or a device in it under one of our
file names is refused, so that nothing outside the folder is read or written.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import secrets
import stat
import time
from pathlib import Path

from efficiency_bench.errors import UserError


def put(path: Path, content: bytes, replace: bool = True) -> None:
    """Write ``content`` to ``path`` atomically: a reader sees the old file or the complete new one.

    The content goes to a temporary file with a random name, is fsynced and then renamed.  Several
    processes and hosts may write at the same time.  A link at ``path`` is replaced, not followed;
    without ``replace``, a path that exists raises FileExistsError.  Raises OSError if the write
    fails, and removes the temporary file.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            aside.replace(path)
        else:
            # unlike a rename, a link fails if the name is taken, also between two processes
            os.link(aside, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def open_own(path: str | os.PathLike[str], flags: int) -> int:
    """Return the descriptor of a regular file; an ``opener`` for ``open``.

    Raises OSError if ``path`` is a link or not a regular file, and whenever ``os.open`` does.
    """
    name = Path(path).name
    try:
        # non-blocking: opening a pipe would wait for its other end
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
    """Return the bytes of a regular file of at most ``largest_bytes``.

    Raises OSError for a larger file, and whenever ``open_own`` does; never waits on a pipe or a
    device.
    """
    with open(path, "rb", opener=open_own) as file:
        # read instead of stat: a file may grow, and some report a size of 0
        content = file.read(largest_bytes + 1)
    if len(content) > largest_bytes:
        raise OSError(errno.EFBIG, f"larger than {largest_bytes:,} bytes", str(path))
    return content


WITHOUT_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What flock fails with on Lustre mounted without ``-o flock``, and on NFS without its lock
daemon."""

POLL_SECONDS = 0.02
"""Between two attempts to take a lock."""


def lock(descriptor: int, wait_seconds: float) -> None:
    """Lock an open file or folder for this process alone, until its descriptor is closed.

    The kernel releases the lock however the process ends, so no lock is ever stale.  Raises
    BlockingIOError if another process still holds it after ``wait_seconds`` (``math.inf``: waits),
    and UserError on a file system without locks.
    """
    waits = wait_seconds == math.inf
    until = time.monotonic() + wait_seconds
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(POLL_SECONDS)
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            raise UserError(
                f"the file system of {_name_of(descriptor)} has no locks (flock: {error.strerror});"
                "\nmount it with them (Lustre: -o flock), or name a folder on another file system"
                " (run_dir=, ledger_dir=)"
            ) from error


def is_locked(descriptor: int) -> bool:
    """Return whether another process holds ``lock``, on any host that shares the file system.

    Without locks nothing can hold one.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _name_of(descriptor: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:  # another system
        return "this folder"
