"""Compares the results in two entries, ignoring dates, clocks and places."""

from __future__ import annotations

from typing import Any

from efficiency_bench.records import Entry

PER_ATTEMPT_FIELDS = (
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
"""Fields that depend on when, where and with what interruptions a run trained."""

EVALUATION_SECONDS = ("train_seconds", "evaluation_seconds")


def differences(one: Entry, other: Entry) -> list[str]:
    """Differences between two results as ``field: value, value``; the comparison is bit-exact."""
    ours, theirs = _result(one), _result(other)
    return [
        f"{name}: {ours[name]!r}, {theirs[name]!r}" for name in ours if ours[name] != theirs[name]
    ]


def _result(entry: Entry) -> dict[str, Any]:
    content = entry.model_dump(mode="json", exclude=set(PER_ATTEMPT_FIELDS))
    for evaluation in content["evaluations"]:
        for name in EVALUATION_SECONDS:
            del evaluation[name]
    return content
