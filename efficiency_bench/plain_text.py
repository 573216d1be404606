"""Text of others made harmless where it is shown: in a terminal, in Markdown, in a CSV cell."""

from __future__ import annotations

import re
from typing import Any

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What moves the cursor, colours, reorders or cannot be encoded; a tab and a line end do not."""

_MARKDOWN = re.compile(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)")
"""What Markdown reads as more than text inside a line; an underscore within a word is text."""

_FORMULA = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings by which a spreadsheet takes a cell for a formula, the full-width ones included."""


def visible(text: str) -> str:
    r"""``text`` with control characters as escapes (``\x1b``), for a terminal."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def markdown(text: Any) -> str:
    """``text`` in one line of Markdown that shows it as it is: no link, image, HTML or mention."""
    line = " ".join(visible(str(text)).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKDOWN.sub(lambda found: f"\\{found[0]}", line)
    # a comment between the sign and the name is the one thing that keeps GitHub from notifying
    return re.sub(r"([@#])(?=\w)", r"\1<!-- -->", line)


def fenced(text: str) -> str:
    """``text`` as a code block of Markdown that no line of it can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def cell(value: Any) -> Any:
    """A CSV cell: text that a spreadsheet would compute begins with an apostrophe instead."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
