"""Filter an event log to the effective events, and account for work repeated after a crash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Event = Mapping[str, Any]
"""One line of an event log."""

COUNTING_KINDS = ("progress", "evaluation", "interrupted", "end")
"""Events that say how far a run had come."""


@dataclass(frozen=True)
class RepeatedWork:
    """Work that a resumed run repeats, as far as the log shows it."""

    images: int = 0
    seconds: float = 0.0
    paper3x_tfs_days: float = 0.0


class History:
    """A log read event by event; each ``resume`` rolls back the events beyond its step.

    Reading takes time linear in the length of the log, however often the run was resumed.
    """

    def __init__(self) -> None:
        self._read = 0
        self._others: list[tuple[int, Event]] = []
        self._counting: list[tuple[int, Event]] = []
        self._damaged: list[Event] = []

    def add(self, event: Event) -> None:
        """Read one event; a ``resume`` rolls back the events beyond its step."""
        if event["event"] == "resume":
            del self._counting[self._standing(event["steps"]) :]
            self._damaged.clear()
        if event["event"] == "repair" and "reached" in event:
            self._damaged.append(event["reached"])
        place = (self._read, event)
        (self._counting if event["event"] in COUNTING_KINDS else self._others).append(place)
        self._read += 1

    @property
    def effective_events(self) -> list[Event]:
        """The events that were not rolled back, in log order."""
        return [event for _, event in sorted(self._others + self._counting, key=lambda p: p[0])]

    def repeated_work(self, resume: Event) -> RepeatedWork:
        """Return the work that ``resume``, which was not added yet, rolls back.

        A ``resume`` event holds the totals at its step; in an older log it holds only the images,
        and the other totals are taken from the event before.
        """
        stand = self._standing(resume["steps"])
        gone = [event for _, event in self._counting[stand:]] + self._damaged
        if not gone:
            return RepeatedWork()
        # from the end and no further than needed: this may be the whole log
        return RepeatedWork(
            *(
                _lost(gone, (self._counting[i][1] for i in range(stand - 1, -1, -1)), resume, name)
                for name in _ACCOUNTS
            )
        )

    def _standing(self, steps: int) -> int:
        """Return how many counting events remain if the run resumes after ``steps`` steps."""
        count = len(self._counting)
        while count and self._counting[count - 1][1]["steps"] > steps:
            count -= 1
        return count


def effective_events(events: Iterable[Event]) -> list[Event]:
    """Return the events without those that a later ``resume`` rolled back.

    They read like the log of an uninterrupted run with ``resume`` events in between.
    """
    history = History()
    for event in events:
        history.add(event)
    return history.effective_events


def repeated_work_of(events: Sequence[Event], resume: Event) -> RepeatedWork:
    """Return the work that ``resume`` rolls back of ``events``, the log so far."""
    history = History()
    for event in events:
        history.add(event)
    return history.repeated_work(resume)


def repeated_work_by_resume(events: Iterable[Event]) -> Iterator[tuple[int, Event, RepeatedWork]]:
    """Yield the index in the log, the event, and the work rolled back, for each ``resume``."""
    history = History()
    for place, event in enumerate(events):
        if event["event"] == "resume":
            yield place, event, history.repeated_work(event)
        history.add(event)


def repeated_work_total(events: Iterable[Event]) -> RepeatedWork:
    """Return the work that all resumes of a log rolled back together."""
    resumptions = [event["lost"] for event in events if event["event"] == "resume"]
    return RepeatedWork(
        images=sum(lost["images"] for lost in resumptions),
        seconds=sum(lost["seconds"] for lost in resumptions),
        paper3x_tfs_days=sum(lost["paper3x_tfs_days"] for lost in resumptions),
    )


_ACCOUNTS = ("images", "train_seconds", "paper3x_tfs_days")
_LOST_IN = ("images", "seconds", "paper3x_tfs_days")
"""The field of ``RepeatedWork`` for each of ``_ACCOUNTS``."""


def reached(events: Sequence[Event]) -> dict[str, Any]:
    """Return how far damaged ``events`` had come in each account, including repeated work."""
    again = repeated_work_total(events)
    resumed = [event for event in events if event["event"] == "resume"][-1:]
    standing = resumed + [e for e in effective_events(events) if e["event"] in COUNTING_KINDS]
    furthest = {
        account: max((e.get(account, 0) for e in standing), default=0) + getattr(again, lost)
        for account, lost in zip(_ACCOUNTS, _LOST_IN, strict=True)
    }
    joules = [event["energy_joules"] for event in standing if "energy_joules" in event]
    repeated = [e["cost"].get("lost_energy_joules", 0.0) for e in events if "cost" in e]
    return furthest | ({"energy_joules": max(joules) + sum(repeated)} if joules else {})


def _lost(gone: Sequence[Event], before: Iterable[Event], resume: Event, account: str) -> Any:
    """Return how much further the rolled-back events had come than the resumed run starts.

    ``before`` are the remaining events, latest first.
    """
    reached = [event[account] for event in gone if account in event]
    if account in resume:
        return max([*reached, resume[account]]) - resume[account]
    stood = next((event[account] for event in before if account in event), 0)
    return max([*reached, stood]) - stood


def latest_energy(events: Sequence[Event]) -> float | None:
    """Return the last training energy in a log, in joules; None if it has none."""
    logged = (account["energy_joules"] for e in reversed(events) if (account := _energy_in(e)))
    return next(logged, None)


def _energy_in(event: Event) -> Mapping[str, Any]:
    kind = event["event"]
    account = event["cost"] if kind == "resume" and "cost" in event else event
    account = event["reached"] if kind == "repair" and "reached" in event else account
    return account if "energy_joules" in account else {}
