"""Text of others made harmless where it is shown: in a terminal, in a CSV cell."""

from __future__ import annotations

import re
from typing import Any

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What moves the cursor, colours, reorders or cannot be encoded; a tab and a line end do not."""

_FORMULA = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings by which a spreadsheet takes a cell for a formula, the full-width ones included."""


def visible(text: str) -> str:
    r"""``text`` with control characters as escapes (``\x1b``), for a terminal."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def cell(value: Any) -> Any:
    """A CSV cell: text that a spreadsheet would compute begins with an apostrophe instead."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
