"""An audit in the terminal: both counters by operator and by module, and what is not counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from efficiency_bench.report.tables.layout import plain_table

MOST_MODULES = 20
"""Rows of the table of modules: deeper ones are added up until no more are left."""

MOST_UNCOUNTED = 8
"""Kinds of uncounted work shown; the rest are added up."""


def print_audit(row: Mapping[str, Any], console: Console) -> None:
    """Print ``campaign.audit.audit_row``; fits 80 columns."""
    console.print(f"{row['model']} at {row['resolution_px']} px, one image", style="bold")
    console.print(_totals(row))
    console.print(_operators(row))
    console.print(_modules(row))
    console.print(_uncounted(row))
    for unknown in row["unknown"]:
        where = unknown["module"] or "the model itself"
        text = f"UNKNOWN {unknown['operator']} in {where} ({unknown['reason']})"
        console.print(text, highlight=False, markup=False)
    for disagreement in row["disagreements"]:
        console.print(f"DISAGREEMENT {disagreement}", highlight=False, markup=False)
    if row["agrees"]:
        console.print("the two counters agree to the integer", style="bold")


def _totals(row: Mapping[str, Any]) -> Table:
    table = plain_table("", "", "fvcore", "independent")
    pairs = (
        ("forward MACs (F)", row["forward_macs"], row["independent_forward_macs"]),
        ("backward MACs (B)", row["backward_macs"], row["independent_backward_macs"]),
        ("of F, reading the image (F1)", row["first_layer_macs"], None),
    )
    for name, traced, watched in pairs:
        table.add_row(name, _macs(traced), "" if watched is None else _macs(watched))
    expected = 2 * row["forward_macs"] - row["first_layer_macs"]
    holds = "holds" if row["plainly_trained"] else "not so: frozen or constant operands"
    table.add_row("B = 2F - F1", _macs(expected), holds)
    return table


def _operators(row: Mapping[str, Any]) -> Table:
    """By operator: fvcore's names are the network's, the dispatcher's are what really ran."""
    table = plain_table("", "contraction", "forward MACs", "share")
    for source, operators in (
        ("traced", row["operators"]),
        ("ran", row["independent_operators"]["forward"]),
    ):
        for name, macs in sorted(operators.items(), key=lambda item: -item[1]):
            table.add_row(f"{source}: {name}", _macs(macs), _share(macs, row["forward_macs"]))
    return table


def _modules(row: Mapping[str, Any]) -> Table:
    table = plain_table("", "module", "fvcore", "independent", "share of F")
    traced, watched = _gathered(row["modules"])
    for name, macs in traced.items():
        share = _share(macs, row["forward_macs"])
        table.add_row(name or "(the model itself)", _macs(macs), _macs(watched[name]), share)
    return table


def _gathered(modules: list[dict[str, Any]]) -> tuple[Counter[str], Counter[str]]:
    """Modules added up at the deepest level that has few enough rows, in the network's order."""
    deepest = max((m["module"].count(".") + 1 for m in modules), default=1)
    for depth in range(deepest, 0, -1):
        traced: Counter[str] = Counter()
        watched: Counter[str] = Counter()
        for module in modules:
            name = ".".join(module["module"].split(".")[:depth])
            traced[name] += module["forward_macs"]
            watched[name] += module["independent_forward_macs"]
        if len(traced) <= MOST_MODULES:
            break
    return traced, watched


def _uncounted(row: Mapping[str, Any]) -> Table:
    """Output elements of what F leaves out, against F: an element costs a few operations."""
    table = plain_table("", "not counted", "elements", "elements / F")
    ordered = sorted(row["uncounted"].items(), key=lambda item: -item[1])
    for name, elements in ordered[:MOST_UNCOUNTED]:
        table.add_row(name, _macs(elements), _share(elements, row["forward_macs"]))
    if rest := ordered[MOST_UNCOUNTED:]:
        elements = sum(count for _, count in rest)
        name = f"{len(rest)} other kinds"
        table.add_row(name, _macs(elements), _share(elements, row["forward_macs"]))
    total = sum(row["uncounted"].values())
    table.add_row("all of it", _macs(total), _share(total, row["forward_macs"]))
    return table


def _macs(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


LINE = "{:<18} {:<8} {:<10} {:>11} {:>3} {:>7} {:>5} {:>5} {:>5}"


def print_models(rows: Iterable[Mapping[str, Any]], console: Console) -> None:
    """Print form, date, parameters, and F in MMAC, F1/F and B/F at each side; fits 80 columns.

    The last column is a small form's F over the ImageNet form's.  Above the forms of a network
    stands the paper that it was published in.
    """
    titles = ("model", "form", "published", "params", "px", "MMAC", "F1/F%", "B/F", "share")
    console.print(LINE.format(*titles), style="bold", highlight=False)
    paper = None
    for row in rows:
        if row["paper"] != paper:
            paper = row["paper"]
            console.print(Text(paper, style="dim"))
        own = (row["name"], row["form"], row["published"], f"{row['params']:,}")
        _print_line(own, row["resolution_px"], row, console)
        for side, macs in row["resolutions"].items():
            _print_line(("", "", "", ""), side, macs, console)


def _print_line(
    words: tuple[str, ...], side_px: object, macs: Mapping[str, Any], console: Console
) -> None:
    forward = macs["forward_macs"]
    figures = (
        f"{forward / 1e6:.1f}",
        f"{100 * macs['first_layer_macs'] / forward:.2f}",
        f"{macs['backward_macs'] / forward:.3f}",
        f"{100 * macs['form_share']:.2f}%" if "form_share" in macs else "",
    )
    console.print(LINE.format(*words, side_px, *figures).rstrip(), highlight=False)
