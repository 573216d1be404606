"""What `efficiency-bench reproduce` found, as lines for the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console


def print_reproduction(row: dict[str, Any], console: Console) -> None:
    """The verdict, and under it what differs and by how much it may."""
    for line in _lines(row):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _lines(row: dict[str, Any]) -> list[str]:
    if row["same_bits"]:
        return [f"{row['run_id']}: the same to the bit"]
    spread = row["spread"]
    if not row["elsewhere"]:
        verdict = "NOT THE SAME, though versions and processor are"
    elif spread is None:
        verdict = "NOT KNOWN: other bits, and a single seed has no spread"
    else:
        verdict = "within the spread" if spread["holds"] else "OUTSIDE THE SPREAD"
    lines = [f"{row['run_id']}: {verdict}"]
    if spread is not None:
        found = "not reached" if spread["found"] is None else f"{spread['found']:.4g}"
        lines.append(
            f"  {spread['quantity']}: {found}; one more of {spread['seeds']} seeds lies between"
            f" {spread['low']:.4g} and {spread['high']:.4g} (95 %)"
        )
    lines += [f"  {difference}" for difference in row["elsewhere"]]
    return lines + [f"  {_short(difference)}" for difference in row["differences"]]


def _short(text: str, longest: int = 120) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
