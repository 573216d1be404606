"""The sixteen published rows at AlexNet's level, as entries of tier ``published``.

Source: Hernandez & Brown 2020 (arXiv 2005.04305), table 3, and OpenAI's leaderboard
``efficiency_sota.csv``; ``reference/`` holds them as facts with their sources.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from efficiency_bench.records import NOT_MEASURED, Entry, Segment, Target, exact_flops

CSV_NAME = "hernandez_brown_2020.csv"

PAPER_IMAGES_PER_EPOCH = 1_280_000
"""The paper's rounded number: 3 x epochs x images x MACs then gives all sixteen rows to 0.5 %."""

ASSUMED_DAY = 15
"""Day for a row whose source gives only a month: the middle, at most 16 days off.

With it the fit of the sixteen rows halves every 13.7 months (the 1st: 13.6, the last day: 13.8).
"""

ALEXNET_LEVEL = Target(
    metric="top5", value=0.791, tolerance=0.0005, confirmations=0, source="published"
)
"""Top-5 of at least 79.05 %: 79.1 % as published (paper, section 2), allowing for rounding."""

TRAINED_ELSEWHERE = {"efficientnet_b0": "tan_le_2019"}
"""The one row that the paper's authors did not train: they got its epochs by correspondence."""


def reference_rows() -> list[dict[str, str]]:
    """Return every published row as text, column -> value, including other accuracy levels."""
    file = resources.files("efficiency_bench.reference") / CSV_NAME
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))


def published_entries() -> tuple[Entry, ...]:
    """Return the sixteen networks of table 3 at 79.1 % top-5, in file order.

    ``paper3x_tfs_days`` and ``forward_macs`` are the published figures, with their rounding and
    errata; ``exact_flops`` is 2(F + B) per image with exact counts of these networks.  The paper
    counts whole epochs and does not say whether a crossing had to be confirmed, so both crossings
    are the published epochs.
    """
    return tuple(_entry(row) for row in reference_rows() if row["model"])


@dataclass(frozen=True)
class PublicationDates:
    """When a network was published, by three definitions; ISO dates (YYYY-MM-DD)."""

    printed: str
    """Date in the table: OpenAI's leaderboard, or the middle of the arXiv id's month."""
    preprint: str
    """First version on arXiv; AlexNet, which has none, keeps its conference date."""
    conference: str
    """First day of the conference; a network published only as a preprint keeps that date."""


def publication_dates() -> dict[str, PublicationDates]:
    """Return model -> its dates, for the sixteen networks at AlexNet's level.

    Source: the columns ``preprint_date``, ``conference_date`` and ``date_source`` of the file.
    """
    return {
        row["model"]: PublicationDates(
            printed=assumed_date(row["date"]),
            preprint=row["preprint_date"] or row["conference_date"],
            conference=row["conference_date"] or row["preprint_date"],
        )
        for row in reference_rows()
        if row["model"]
    }


def assumed_date(published: str) -> str:
    """Return the ISO date of a published date or month (``2014-09`` -> ``2014-09-15``)."""
    return published if len(published) == len("2014-09-17") else f"{published}-{ASSUMED_DAY}"


def _entry(row: Mapping[str, str]) -> Entry:
    model, epochs = row["model"], int(row["epochs"])
    images = epochs * PAPER_IMAGES_PER_EPOCH
    compute_tfs_days = float(row["compute_tfs_days"])
    segments = (_segment(row, images),)
    return Entry(
        run_id=f"published-{model}",
        tier="published",
        source=row["source"],
        created_utc="2020-05-08T00:00:00Z",  # the paper's first version on arXiv
        experiment=model,
        model=model,
        recipe=TRAINED_ELSEWHERE.get(model, "hernandez_brown_2020"),
        data="imagenet",
        seed=None,
        date=assumed_date(row["date"]),
        end_reason="target",
        end_detail=row["note"],
        reached=True,
        target=ALEXNET_LEVEL,
        images=images,
        steps=None,
        epochs=epochs,
        forward_macs=float(row["forward_macs"]),
        paper3x_tfs_days=compute_tfs_days,
        exact_flops=exact_flops(segments),
        paper3x_to_target_tfs_days=compute_tfs_days,
        exact_flops_to_target=exact_flops(segments),
        first_crossing_images=images,
        first_crossing_epochs=epochs,
        sustained_crossing_images=images,
        sustained_crossing_epochs=epochs,
        segments=segments,
        evaluations=(),
        **NOT_MEASURED,
        config=dict(row),
    )


def _segment(row: Mapping[str, str], images: int) -> Segment:
    forward, first = int(row["exact_forward_macs"]), int(row["first_layer_macs"])
    return Segment(
        images=images,
        resolution_px=224,
        forward_macs=forward,
        first_layer_macs=first,
        backward_macs=2 * forward - first,
    )
