"""Whether two entries are of one result: all that a clock, a folder or a day cannot move."""

from __future__ import annotations

from typing import Any

from efficiency_bench.records import Entry

OF_THE_OCCASION = (
    "created_utc",
    "clocks",
    "event_log",
    "event_log_digest",
    "entry_digest",
    "provenance",
    "cost",
    "repeated_images",
    "repeated_seconds",
    "repeated_paper3x_tfs_days",
)
"""Fields that say when, where and with what interruptions; the rest says what came out."""

SECONDS_OF_AN_EVALUATION = ("train_seconds", "evaluation_seconds")


def differences(one: Entry, other: Entry) -> list[str]:
    """What differs between two results, as ``field: value, value``; compared to the bit."""
    ours, theirs = _result(one), _result(other)
    return [
        f"{name}: {ours[name]!r}, {theirs[name]!r}" for name in ours if ours[name] != theirs[name]
    ]


def _result(entry: Entry) -> dict[str, Any]:
    content = entry.model_dump(mode="json", exclude=set(OF_THE_OCCASION))
    for evaluation in content["evaluations"]:
        for name in SECONDS_OF_AN_EVALUATION:
            del evaluation[name]
    return content
