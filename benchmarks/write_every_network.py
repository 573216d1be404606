"""Write the tables of docs/every_network.md between their markers, from the table of all networks.

python benchmarks/write_every_network.py [PAGE]
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import timm
import torch
from every_network import LIBRARIES, TABLE, Row, read, sides
from fvcore.nn import FlopCountAnalysis
from write_tables import BLOCK

from efficiency_bench.counting.trace import FORWARD, by_shape_on_meta, trace

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
    """Networks of each library, how many were counted, and how these ended."""
    counts = Counter((row.library, row.verdict) for row in rows)
    return _table(
        ("library", "networks", "counted", *VERDICTS),
        (
            (name, len(names()), sum(found), *found)
            for name, (names, _) in sorted(LIBRARIES.items())
            for found in [[counts[name, verdict] for verdict in VERDICTS]]
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
    """How many networks have timm's published GMACs, and those that are off, with the reason."""
    figures = published_gmacs()
    compared = [
        (row.name, row.px, row.forward_macs / 1e9, figures[row.name, row.px])
        for row in rows
        if row.library == "timm" and row.forward_macs and (row.name, row.px) in figures
    ]
    off = sorted(
        (here / there, name, px, here, there)
        for name, px, here, there in compared
        if not is_close(here, there)
    )
    lines = (
        (name, px, f"{here:.3f}", f"{there:.2f}", f"{ratio:.3f}", reason(name, px, here, there))
        for ratio, name, px, here, there in off
    )
    return (
        f"{len(compared)} networks have a published figure at this size; {len(compared) - len(off)}"
        f" are within 1 % and the rounding, {len(off)} are not:\n\n"
        + _table(("network", "px", "GMACs here", "published", "here / published", "why"), lines)
    )


def is_close(gmacs: float, figure: float) -> bool:
    """Whether a count is within 1 % of a published figure and its rounding."""
    return abs(gmacs - figure) <= TOLERANCE * figure + HALF_DIGIT_GMACS


def reason(name: str, px: str, here: float, figure: float) -> str:
    """Which other way of counting gives timm's published figure: tried in turn, by shape."""
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False).eval()
        image = torch.zeros(1, 3, *sides(px))
    counts = {
        kind: macs / 1e9
        for kind, macs in trace(model, image)[0][""].items()
        if kind.startswith(f"{FORWARD}/")
    }
    inferred = sum(counts.values())
    if is_close(inferred, figure):
        return f"training adds {100 * (here / inferred - 1):.0f} %"
    if is_close(inferred - counts.get(f"{FORWARD}/scaled_dot_product_attention", 0), figure):
        return "fused attention is not counted there"
    fvcores = FlopCountAnalysis(model, image).unsupported_ops_warnings(False)
    with by_shape_on_meta(image.device):
        if is_close(fvcores.uncalled_modules_warnings(False).total() / 1e9, figure):
            return "fvcore's own handles count normalisation and interpolation, or miss products"
    return "not found"


def published_gmacs() -> Mapping[tuple[str, str], float]:
    """timm's published GMACs by network and image side; the file's first line is its source."""
    _, *lines = PUBLISHED.read_text(encoding="utf-8").splitlines()
    return {(line["name"], line["px"]): float(line["gmacs"]) for line in csv.DictReader(lines)}


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
