"""What is raised to the caller: the user's mistake in one or two lines, and a run that stopped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend; the command line prints it and exits 2."""


class Stopped(KeyboardInterrupt):
    """A run is not over yet; the same call goes on from where it was saved.

    Of Ctrl-C's kind, so that a loop over many runs with ``except Exception`` ends too.
    """


def unknown(kind: str, name: object, known: Iterable[object]) -> UserError:
    """UserError for a name that is not among ``known``, with the nearest one suggested."""
    names = sorted(map(str, known))
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return UserError(f"unknown {kind} {str(name)!r}{hint}; known: {', '.join(names)}")
