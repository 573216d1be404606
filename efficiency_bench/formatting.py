"""Numbers and percents as text, and untrusted text made safe for a terminal or a CSV cell."""

from __future__ import annotations

import math
import re
from typing import Any


def number(value: float) -> str:
    """Format with three significant digits, without an exponent if that stays short."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        decimals = max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:.{decimals}f}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def percent(fraction: float) -> str:
    """Format a fraction as percent with up to two decimals: 0.791 -> ``79.1 %``."""
    return f"{100 * fraction:.2f}".rstrip("0").rstrip(".") + " %"


_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that move the cursor, color, reorder text or cannot be encoded; not tab or newline."""

_FORMULA = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Prefixes that make a spreadsheet treat a cell as a formula, including the full-width ones."""


def visible(text: str) -> str:
    r"""Return ``text`` with control characters escaped (``\x1b``), for a terminal."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def cell(value: Any) -> Any:
    """Return a CSV cell; text that a spreadsheet would evaluate gets an apostrophe in front."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
