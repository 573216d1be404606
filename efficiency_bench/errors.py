"""Exceptions for the caller: a user's mistake in one or two lines, and a run that was stopped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

STOPPED = 75
"""Exit code, EX_TEMPFAIL of sysexits.h: running the same command again resumes."""


class UserError(Exception):
    """A mistake that the user can fix; the command line prints it and exits 2."""


class Stopped(KeyboardInterrupt):
    """A run was stopped before its end; make the same call again to resume from its checkpoint.

    A KeyboardInterrupt, so that a loop over runs with ``except Exception`` ends too.
    """


def unknown(kind: str, name: object, known: Iterable[object]) -> UserError:
    """Return a UserError for a name that is not in ``known``, which suggests the closest one."""
    names = sorted(map(str, known))
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return UserError(f"unknown {kind} {str(name)!r}{hint}; known: {', '.join(names)}")
