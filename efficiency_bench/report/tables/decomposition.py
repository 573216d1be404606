"""The output of `efficiency-bench decompose`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from efficiency_bench.fitting.sensitivity.decomposition import WHOLE, Decomposition, Part
from efficiency_bench.fitting.sensitivity.epochs_and_images import EpochsAndImages
from efficiency_bench.formatting import number, percent
from efficiency_bench.report.tables.layout import ABSENT, plain_table, print_lines

SPLIT_LEGEND = (
    "compute: the gain as charged, equal to the product but for rounding and the averaging of seeds"
)


def print_decomposition(result: Decomposition, console: Console) -> None:
    """Print the four corners, then the parts of the gain; fits 80 columns."""
    console.print(corners_table(result))
    console.print(parts_table(result))
    console.print(Text(result.method, style="dim"))
    print_lines(result.notes, console)


def corners_table(result: Decomposition) -> Table:
    """The cost of each of the four combinations."""
    level = f"{result.target.metric.replace('top', 'top-')} {percent(result.target.value)}"
    unit = "tfs-days" if result.currency == "paper3x_tfs_days" else "FLOP"
    corners = plain_table(
        f"Compute to {result.data}, {level}", "network, recipe", unit, "reached/run"
    )
    for cell in result.cells:
        seeds = f"{cell.reached_seeds}/{cell.seeds}"
        corners.add_row(f"{cell.model}, {cell.recipe}", number(cell.compute), seeds)
    return corners


def parts_table(result: Decomposition) -> Table:
    """The parts of the gain, with the total in bold."""
    whole = next(part for part in result.parts if part.name == WHOLE)
    parts = plain_table("The gain, split", "part", "factor", "95 %", "halvings", "share")
    for part in result.parts:
        parts.add_row(*_cells(part, whole), style="bold" if part.name == WHOLE else "")
    return parts


def print_epochs_and_images(rows: Sequence[EpochsAndImages], console: Console) -> None:
    """Print the paper's split per network: fewer epochs times cheaper images; 80 columns."""
    console.print(epochs_and_images_table(rows))
    console.print(Text(SPLIT_LEGEND, style="dim"))


def epochs_and_images_table(rows: Sequence[EpochsAndImages]) -> Table:
    """One line per network: its gain over the first, split."""
    table = plain_table(
        f"Training gain over {rows[0].model}: fewer epochs x cheaper images",
        "network",
        "date",
        "epochs",
        "images",
        "product",
        "compute",
    )
    for row in rows:
        figures = (row.epochs_factor, row.images_factor, row.product, row.reduction_factor)
        table.add_row(row.model, row.date or ABSENT, *(f"{number(x)}x" for x in figures))
    return table


def _cells(part: Part, whole: Part) -> tuple[str, ...]:
    interval = ABSENT
    if part.low_factor is not None and part.high_factor is not None:
        interval = f"{number(part.low_factor)}-{number(part.high_factor)}"
    share = f"{100 * part.log2_gain / whole.log2_gain:.0f} %" if whole.log2_gain else ABSENT
    return (part.name, f"{number(part.factor)}x", interval, f"{part.log2_gain:+.2f}", share)
