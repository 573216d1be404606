"""Numbers and percents as text."""

from __future__ import annotations

import math


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
