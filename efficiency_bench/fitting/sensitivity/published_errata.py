"""Errata of the published material: printed values and expected values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from efficiency_bench.ledger.reference import PAPER_IMAGES_PER_EPOCH, reference_rows
from efficiency_bench.records import TERAFLOPS_DAY, Record

MISCOUNTED = ("alexnet", "googlenet")
"""Networks whose printed multiply-adds are a bug of the counter, not a different convention."""

PRINTED_FACTOR_TOLERANCE = 0.04
"""Relative difference between a printed factor and the ratio of printed computes that is an
erratum.

Rounding alone explains less: 3.1/0.069 = 44.9, printed as 44, is 2 % off.
"""


class Erratum(Record):
    """A figure in the paper or its leaderboard that contradicts other figures there."""

    what: str
    printed: float | str
    expected: float | str
    why: str


def published_errata() -> tuple[Erratum, ...]:
    """Return every erratum that follows from the reference file, in its order.

    Source of the printed values: Hernandez & Brown 2020, table 3, and ``efficiency_sota.csv``.
    """
    rows = reference_rows()
    return (*_counts(rows), *_factors(rows), *_missing_threefold(rows), *_months(rows))


def _counts(rows: list[dict[str, str]]) -> Iterator[Erratum]:
    for row in rows:
        if row["model"] in MISCOUNTED:
            yield Erratum(
                what=f"{row['publication']}, 1e9 multiply-adds an image",
                printed=int(row["forward_macs"]) / 1e9,
                expected=round(int(row["exact_forward_macs"]) / 1e9, 3),
                why="counter bug; convolutions and matrix products by closed form",
            )


def _factors(rows: list[dict[str, str]]) -> Iterator[Erratum]:
    baselines: dict[str, Mapping[str, str]] = {}
    for row in rows:
        if not (row["compute_tfs_days"] and row["reduction_factor"]):
            continue
        if float(row["reduction_factor"]) == 1:
            baselines[row["metric"]] = row
    for row in rows:
        baseline = baselines.get(row["metric"])
        if baseline is None or not row["compute_tfs_days"]:
            continue
        quotient = float(baseline["compute_tfs_days"]) / float(row["compute_tfs_days"])
        printed = float(row["reduction_factor"])
        if abs(printed / quotient - 1) > PRINTED_FACTOR_TOLERANCE:
            yield Erratum(
                what=f"{row['publication']}, factor over {baseline['publication']}",
                printed=printed,
                expected=round(quotient, 1),
                why=f"{baseline['compute_tfs_days']} / {row['compute_tfs_days']} tfs-days",
            )


def _missing_threefold(rows: list[dict[str, str]]) -> Iterator[Erratum]:
    for row in rows:
        if row["model"] or not (row["epochs"] and row["exact_forward_macs"]):
            continue
        images = int(row["epochs"]) * PAPER_IMAGES_PER_EPOCH
        recomputed = 3 * images * int(row["exact_forward_macs"]) / TERAFLOPS_DAY
        yield Erratum(
            what=f"{row['publication']}, tfs-days to the ResNet-50 level",
            printed=float(row["compute_tfs_days"]),
            expected=round(recomputed, 2),
            why=f"lacks the 3x of the other rows: 3 x {row['epochs']} epochs x 1.28e6 x F",
        )


def _months(rows: list[dict[str, str]]) -> Iterator[Erratum]:
    for row in rows:
        printed = row["printed_date"]
        published = row["preprint_date"] or row["conference_date"]
        if printed and printed[: len("2018-06")] != published[: len("2018-06")]:
            yield Erratum(
                what=f"{row['publication']}, date in the leaderboard",
                printed=printed,
                expected=published,
                why=row["date_source"],
            )
