"""Write the tables of docs/every_network.md between their markers, from the table of all networks.

python benchmarks/write_every_network.py [PAGE]
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from every_network import TABLE, Row, read
from write_tables import BLOCK

PAGE = Path(__file__).parent.parent / "docs" / "every_network.md"
PUBLISHED = TABLE.with_name("timm_gmacs.csv")

SHOWN = 10
"""Networks in a table of extremes."""

HALF_DIGIT_GMACS = 0.005
"""The published figures have two decimals."""

TOLERANCE = 0.01
"""A published figure differs if it is off by more than this share, beyond its rounding."""

VERDICTS = ("agrees", "refused", "does not fit", "differs")


def main() -> None:
    """Rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path, nargs="?", default=PAGE)
    page = parser.parse_args().page
    page.write_text(written(page.read_text(encoding="utf-8"), read(TABLE)), encoding="utf-8")


def written(page: str, rows: list[Row]) -> str:
    """The page with every table made from ``rows``."""
    return BLOCK.sub(
        lambda block: f"{block['open']}{TABLES[block['name']](rows)}\n{block['close']}", page
    )


def verdicts(rows: list[Row]) -> str:
    """Networks of each library by verdict."""
    counts = Counter((row.library, row.verdict) for row in rows)
    libraries = sorted({row.library for row in rows})
    return _table(
        ("library", "networks", *VERDICTS),
        (
            (name, sum(counts[name, v] for v in VERDICTS), *(counts[name, v] for v in VERDICTS))
            for name in libraries
        ),
    )


def refused(rows: list[Row]) -> str:
    """Networks per refused operator."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for operator in row.operator.split():
            found[operator].append(row.name)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return _table(
        ("operator", "networks", "among them"),
        ((f"`{operator}`", len(names), ", ".join(names[:3])) for operator, names in ordered),
    )


def extremes(rows: list[Row]) -> str:
    """The largest and smallest ratios of backward to forward MACs, one network per ratio."""
    by_ratio: dict[float, Row] = {}
    for row in rows:
        if row.ratio is not None:
            by_ratio.setdefault(row.ratio, row)
    ordered = [by_ratio[ratio] for ratio in sorted(by_ratio)]
    shown = dict.fromkeys([*ordered[:SHOWN], *ordered[-SHOWN:]])
    return _table(
        ("network", "library", "px", "forward GMACs", "backward / forward"),
        (
            (row.name, row.library, row.px, f"{row.forward_macs / 1e9:.3f}", f"{row.ratio:.3f}")
            for row in shown
            if row.forward_macs
        ),
    )


def distribution(rows: list[Row]) -> str:
    """Quantiles of the ratio over the networks that agree."""
    ratios = sorted(row.ratio for row in rows if row.ratio is not None)
    at = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    names = ("lowest", "5 %", "25 %", "median", "75 %", "95 %", "highest")
    return _table(names, [[f"{ratios[round(share * (len(ratios) - 1))]:.3f}" for share in at]])


def published(rows: list[Row]) -> str:
    """How many networks have timm's published GMACs, and those that are furthest off."""
    off, compared, figures = [], 0, published_gmacs()
    for row in rows:
        gmacs = figures.get((row.name, row.px))
        if row.library != "timm" or row.forward_macs is None or gmacs is None:
            continue
        compared += 1
        ours = row.forward_macs / 1e9
        if abs(ours - gmacs) > TOLERANCE * gmacs + HALF_DIGIT_GMACS:
            off.append((row.name, row.px, f"{ours:.3f}", f"{gmacs:.2f}", ours / gmacs))
    off.sort(key=lambda line: (line[-1], line[0]))
    lines = [(*line[:-1], f"{line[-1]:.3f}") for line in off]
    return (
        f"{compared} networks have a published figure at this size; {compared - len(off)} are"
        f" within 1 % and the rounding, {len(off)} are not:\n\n"
        + _table(("network", "px", "GMACs here", "GMACs published", "ratio"), lines)
    )


def published_gmacs() -> Mapping[tuple[str, int], float]:
    """timm's published GMACs by network and image side; the file's first line is its source."""
    _, *lines = PUBLISHED.read_text(encoding="utf-8").splitlines()
    return {(line["name"], int(line["px"])): float(line["gmacs"]) for line in csv.DictReader(lines)}


def _table(head: Iterable[object], lines: Iterable[Iterable[object]]) -> str:
    """A Markdown table; the second and later columns are aligned to the right."""
    titles = list(map(str, head))
    rule = "|---|" + "---:|" * (len(titles) - 1)
    body = [f"| {' | '.join(map(str, line))} |" for line in lines]
    return "\n".join([f"| {' | '.join(titles)} |", rule, *body])


TABLES: Mapping[str, Callable[[list[Row]], str]] = {
    "verdicts": verdicts,
    "refused": refused,
    "extremes": extremes,
    "distribution": distribution,
    "published": published,
}
"""Name of a marker -> its table."""


if __name__ == "__main__":
    main()
