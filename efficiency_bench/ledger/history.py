"""The events of a run that count: work done again after a crash is told apart from the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Event = Mapping[str, Any]

COUNTING_KINDS = ("progress", "evaluation", "interrupted", "end")
"""Events that say how far a run had come."""


@dataclass(frozen=True)
class Lost:
    """Work that a resumption does again, as far as the log shows it."""

    images: int = 0
    seconds: float = 0.0
    paper3x_tfs_days: float = 0.0


def useful(events: Iterable[Event]) -> list[Event]:
    """The events without those that a later ``resume`` took back: beyond the step it starts at.

    What is left reads as the log of a run that was never interrupted, with the ``resume``
    events between.
    """
    kept: list[Event] = []
    for event in events:
        if event["event"] == "resume":
            kept = [e for e in kept if _stands(e, event["steps"])]
        kept.append(event)
    return kept


def lost_by_resuming(events: Sequence[Event], steps: int) -> Lost:
    """What a resumption after ``steps`` steps takes back of ``events``, the log so far."""
    kept = useful(events)
    gone = [e for e in kept if e["event"] in COUNTING_KINDS and e["steps"] > steps]
    stays = [e for e in kept if e["event"] in COUNTING_KINDS and e["steps"] <= steps]
    if not gone:
        return Lost()
    return Lost(*(_last(gone, name) - _last(stays, name) for name in _ACCOUNTS))


def lost_in_all(events: Iterable[Event]) -> Lost:
    """What all resumptions of a log together took back."""
    resumptions = [event["lost"] for event in events if event["event"] == "resume"]
    return Lost(
        images=sum(lost["images"] for lost in resumptions),
        seconds=sum(lost["seconds"] for lost in resumptions),
        paper3x_tfs_days=sum(lost["paper3x_tfs_days"] for lost in resumptions),
    )


_ACCOUNTS = ("images", "train_seconds", "paper3x_tfs_days")


def _stands(event: Event, steps: int) -> bool:
    return event["event"] not in COUNTING_KINDS or bool(event["steps"] <= steps)


def _last(events: Iterable[Event], account: str) -> Any:
    return max((event[account] for event in events if account in event), default=0)
