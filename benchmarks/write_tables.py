"""Writes the tables of docs/performance.md between their markers, from the benchmarks' JSON rows.

A marker is `<!-- table: NAME -->` before and `<!-- end -->` after; NAME.json in the folder holds
the rows.  A marker without its file is left as it is and reported.

    python benchmarks/write_tables.py FOLDER [PAGE]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BLOCK = re.compile(
    r"(?P<open><!-- table: (?P<name>[a-z_]+) -->\n).*?(?P<close><!-- end -->)", re.DOTALL
)

Row = dict[str, Any]


def main() -> None:
    """Rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds NAME.json for each table")
    parser.add_argument("page", type=Path, nargs="?", default=PAGE)
    asked = parser.parse_args()
    text, left = written(asked.page.read_text(encoding="utf-8"), asked.folder)
    asked.page.write_text(text, encoding="utf-8")
    for name in left:
        print(f"table {name} is as it was: no {asked.folder / name}.json", file=sys.stderr)


def written(page: str, folder: Path) -> tuple[str, list[str]]:
    """Return the page with the tables whose rows are in ``folder``, and the names of the others."""
    left: list[str] = []

    def fill(block: re.Match[str]) -> str:
        path = folder / f"{block['name']}.json"
        if not path.is_file():
            left.append(block["name"])
            return block[0]
        return f"{block['open']}{table(json.loads(path.read_text()))}{block['close']}"

    return BLOCK.sub(fill, page), left


def table(rows: list[Row]) -> str:
    """Return a Markdown table with one line per row, followed by the machine and the opponents."""
    growth = any(row.get("exponent") is not None for row in rows)
    title = "| what | ours | other | unit | ours / other (lowest to highest) | pairs |"
    lines = [title + (" exponent |" if growth else ""), "|---|---:|---:|---|---:|---:|"]
    lines[1] += "---:|" if growth else ""
    for row in rows:
        spread = f" ({row['low']:.3g} to {row['high']:.3g})" if row["pairs"] > 1 else ""
        cells = (
            f"| {row['name'].partition('/')[2]} | {row['ours']:.4g} | {row['other']:.4g} "
            f"| {row['unit']} | {row['ratio']:.3g}{spread} | {row['pairs']} |"
        )
        exponent = row.get("exponent")
        more = f" {exponent:.2f} |" if exponent is not None else " |" if growth else ""
        lines.append(cells + more)
    return "\n".join([*lines, "", described(rows), ""])


def described(rows: list[Row]) -> str:
    """The machine of the rows in a sentence; its load is that while they were measured."""
    machines = [row["machine"] for row in rows]
    first = machines[0]
    loads = [machine["load_1min"] for machine in machines]
    load = f"{min(loads):.1f} to {max(loads):.1f}"
    return (
        f"{first['cpu']}, {first['cores']} cores, {first['memory_bytes'] / 2**30:.0f} GiB,"
        f" torch {first['torch']}, Python {first['python']}; load while measuring {load}."
        f"{opponents(rows)}"
    )


def opponents(rows: list[Row]) -> str:
    """What was raced against, each once, as a sentence after a space; empty if no row says it."""
    named = dict.fromkeys(row["opponent"] for row in rows if "opponent" in row)
    return f" Other: {'; '.join(named)}." if named else ""


if __name__ == "__main__":
    main()
