"""Reading a file that anybody may have put there: regular, no link, of bounded size."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_regular(path: Path, largest_bytes: int) -> bytes:
    """The bytes of a regular file of at most ``largest_bytes``.

    Raises OSError for anything else, without waiting: a link, a folder, a pipe that nobody writes
    to, a device without end, a file that is larger.
    """
    # without O_NONBLOCK, opening a pipe waits for its other end
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a link; only regular files are read", str(path)) from None
        raise
    with open(descriptor, "rb") as file:  # noqa: PTH123  (a descriptor, no path)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        # the size is read and not asked for: a file may grow, and some say 0
        content = file.read(largest_bytes + 1)
    if len(content) > largest_bytes:
        raise OSError(errno.EFBIG, f"larger than {largest_bytes:,} bytes", str(path))
    return content
