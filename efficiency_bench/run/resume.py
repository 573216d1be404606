"""Checkpointing and resuming a run: which checkpoint matches the event log, and when to save."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from efficiency_bench.errors import UserError
from efficiency_bench.ledger.events import (
    EventLog,
    SoundPart,
    events_in,
    read_sound_part,
    repair_fields,
)
from efficiency_bench.ledger.history import RepeatedWork, latest_energy, repeated_work_of
from efficiency_bench.provenance import code_digest
from efficiency_bench.records import Segment, paper3x_tfs_days
from efficiency_bench.run import folder as folders
from efficiency_bench.training import checkpoint
from efficiency_bench.training.trainer import CheckpointOffer, State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreviousAttempt:
    """What an earlier attempt left in the run's folder."""

    events: tuple[Mapping[str, Any], ...]
    """Its event log; if that is damaged, followed by the ``repair`` event that it will get."""
    state: State | None
    """None: no checkpoint is usable, so the run starts over."""
    checkpoint: Path | None
    """The file that the state was read from."""
    position: Mapping[str, Any]
    """Where the run resumes: steps, images, train_seconds and paper3x_tfs_days."""
    lost: RepeatedWork
    """Work after the checkpoint, which has to be repeated."""
    problems: tuple[str, ...]
    """Checkpoints that were not used, and why."""
    energy: dict[str, float] | None
    """Joules up to the checkpoint, and those lost after it; None: not measured."""

    @property
    def steps(self) -> int:
        """The step after which the run resumes."""
        return int(self.position["steps"])

    @property
    def progress_events(self) -> int:
        """Number of progress events in the log."""
        return sum(event["event"] == "progress" for event in self.events)

    def fields(self) -> dict[str, Any]:
        """The fields of the ``resume`` event."""
        return {
            **self.position,
            "lost": asdict(self.lost),
            "checkpoint": "none" if self.state is None else f"after step {self.steps}",
            "notes": list(self.problems),
        }


def previous_attempt(folder: Path, run_id: str) -> PreviousAttempt | None:
    """The earlier attempt at ``run_id`` in ``folder``; None if it never started there.

    Uses the newest checkpoint that is intact, belongs to this run, and was saved with the
    undamaged part of this log; the others are listed in ``problems``.  Raises UserError if the
    folder holds another run's log, or if the log is damaged before the oldest checkpoint.
    """
    path = folder / folders.EVENTS
    if not path.exists():
        return None
    log = read_sound_part(path)
    start = next((e for e in log.events if e["event"] == "start"), None)
    if start is None:
        if events_in(log.damage):
            raise _too_damaged(path, log)
        return None
    if start["run_id"] != run_id:
        raise UserError(
            f"{folder} holds the unfinished run {start['run_id']}, which has another"
            " configuration, seed, data or target;\nname another run_dir=, or move that folder away"
        )
    problems: list[str] = []
    if log.damage:
        place = f"line {len(log.events) + 1}"
        problems.append(f"{path.name}: damaged from {place} on; that part is kept but not used")
    for found in checkpoint.usable(folder, problems):
        if misfit := _misfit(found, run_id, log):
            problems.append(f"{found.path.name}: {misfit}")
            continue
        if found.about.get("code_digest") != code_digest():
            problems.append(f"the code has changed since {found.path.name} was saved")
        return _attempt(log, found, problems)
    if events_in(log.damage) and checkpoint.present(folder):
        raise _too_damaged(path, log)
    return _attempt(log, None, problems)


def _misfit(found: checkpoint.Checkpoint, run_id: str, log: SoundPart) -> str | None:
    """Why an intact checkpoint does not match the undamaged part of this log; None: it does."""
    about = found.about
    if about.get("run_id") != run_id:
        return f"belongs to another run, {about.get('run_id')}"
    link = log.chain_after(about.get("log_bytes", 0))
    if link is None or link != about.get("log_chain"):
        return "was saved with a different event log"
    return None


def _too_damaged(path: Path, log: SoundPart) -> UserError:
    return UserError(
        f"{path}, line {len(log.events) + 1} does not continue the line before it: a line is"
        " missing or was changed,\nand no checkpoint was saved before it; restore the log from a"
        " copy, or train from the start in another folder: run_dir=DIR"
    )


def _attempt(
    log: SoundPart, found: checkpoint.Checkpoint | None, problems: Sequence[str]
) -> PreviousAttempt:
    position = _position(found.state) if found else _position()
    events = log.events
    if log.damage:
        events = (*events, {"event": "repair", **repair_fields(log.damage)})
    return PreviousAttempt(
        events=events,
        state=found.state if found else None,
        checkpoint=found.path if found else None,
        position=position,
        lost=repeated_work_of(events, position),
        problems=tuple(problems),
        energy=_energy(events, found),
    )


def _energy(
    events: Sequence[Mapping[str, Any]], found: checkpoint.Checkpoint | None
) -> dict[str, float] | None:
    """Joules at the checkpoint (0 without one), and the rest in the log as lost energy."""
    reached = latest_energy(events)
    if reached is None:
        return None
    empty = {"energy_joules": 0.0, "evaluation_energy_joules": 0.0}
    account = found.about.get("energy") if found else empty
    if not account:
        return None
    return {**account, "lost_energy_joules": max(0.0, reached - account["energy_joules"])}


def _position(state: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Steps, images, seconds and compute of a saved state; without one, all zero."""
    segments = [Segment(**segment) for segment in state.get("segments", ())]
    return {
        "steps": state.get("steps", 0),
        "images": state.get("images", 0),
        "train_seconds": state.get("train_seconds", 0.0),
        "paper3x_tfs_days": paper3x_tfs_days(segments),
    }


class Checkpointer:
    """Saves checkpoints as often as their share of the training time allows."""

    def __init__(self, folder: Path, run_id: str, share: float, event_log: EventLog) -> None:
        """``share`` is the largest fraction of the training time that saving may take."""
        self.folder = folder
        self.run_id = run_id
        self.share = share
        self.event_log = event_log
        self._code_digest = code_digest()
        self._next_at = 0.0
        self._warned = False

    def wants(self, offer: CheckpointOffer) -> bool:
        """Whether a checkpoint is due or the run is about to stop."""
        return offer.stopping or (self.share > 0 and time.monotonic() >= self._next_at)

    def __call__(self, offer: CheckpointOffer, energy: Mapping[str, float]) -> None:
        """Save the run's state, and ``energy`` with it.

        If the disk refuses the checkpoint, that is reported once and the run continues.
        """
        began = time.monotonic()
        try:
            self.save(offer, energy)
        except OSError as error:
            problem = f"no checkpoint in {self.folder}: {error.strerror or error}"
            if not self._warned:
                log.warning("%s; training continues, but a crash loses the work since", problem)
            self._warned = True
            self.event_log.append("checkpoint_failed", steps=offer.steps, problem=problem)
        ended = time.monotonic()
        self._next_at = ended + (ended - began) / (self.share or 1.0)

    def save(self, offer: CheckpointOffer, energy: Mapping[str, float]) -> None:
        """Write a checkpoint together with its run id and its position in the event log."""
        log_bytes, log_chain = self.event_log.sync()
        about = {
            "run_id": self.run_id,
            "log_bytes": log_bytes,
            "log_chain": log_chain,
            "code_digest": self._code_digest,
            "energy": dict(energy),
        }
        checkpoint.save(self.folder, offer.steps, offer.state(), about)
