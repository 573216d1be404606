"""Ledgers of any size for a benchmark: copies of one trained run, each of which verifies."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module

from efficiency_bench import config, hydra_app, identity  # noqa: F401  (hydra_app: the schema)
from efficiency_bench.ledger import store
from efficiency_bench.ledger.events import CHAIN_START, read_events, without_own_fields
from efficiency_bench.ledger.store import with_entry_digest
from efficiency_bench.records import Entry
from efficiency_bench.run.folder import EVENTS
from efficiency_bench.run.run import run

SHORT = ("experiment=alexnet", "data=digits", "device=cpu", "target.value=0.2", "recipe.epochs=2")


@dataclass(frozen=True)
class Original:
    """A run and its log."""

    entry: Entry
    events: Sequence[Mapping[str, Any]]


def trained(folder: Path) -> Original:
    """Train a short run on digits in ``folder``."""
    places = (f"run_dir={folder / 'run'}", f"ledger_dir={folder / 'ledger'}")
    with initialize_config_module("efficiency_bench.configs", version_base="1.3"):
        composed = compose("train", overrides=[*SHORT, *places, "tracking.wandb=false"])
    entry = run(config.load(composed)).entry
    assert entry is not None
    return Original(entry, read_events(folder / "run" / EVENTS).events)


def plant_copies(original: Original, folder: Path, count: int) -> Path:
    """Write a ledger of ``count`` seeds; return its folder."""
    ledger = folder / "ledger"
    (ledger / "events").mkdir(parents=True)
    for seed in range(count):
        entry, log = copy(original, seed, original.events)
        keep(ledger, entry, log)
    return ledger


def plant_long_log(original: Original, folder: Path, count: int) -> Path:
    """Write a ledger of one entry whose log has ``count`` more events, and a plain copy."""
    first = next(e for e in original.events if e["event"] == "progress")
    place = original.events.index(first)
    longer = [*original.events[:place], *[first] * count, *original.events[place:]]
    entry, log = copy(original, 0, longer)
    ledger = folder / "ledger"
    (ledger / "events").mkdir(parents=True)
    keep(ledger, entry, log)
    (folder / EVENTS).write_bytes(log)
    return ledger


def keep(ledger: Path, entry: Entry, log: bytes) -> None:
    """Write the files of ``store.append`` without an fsync each time."""
    store.entry_path(ledger, entry.run_id).write_text(json.dumps(entry.model_dump(mode="json")))
    store.log_path(ledger, entry.run_id).write_bytes(gzip.compress(log, 1, mtime=0))


def copy(original: Original, seed: int, events: Sequence[Mapping[str, Any]]) -> tuple[Entry, bytes]:
    """Return the run with another seed and other weights, and the hash chain of its log redone."""
    entry = original.entry
    measured = {**entry.config, "seed": seed}
    level = None if entry.target.source == "own_schedule" else entry.target
    run_id = identity.run_id(measured, entry.data, entry.data_digest or "", level)
    weights = hashlib.sha256(str(seed).encode()).hexdigest()
    changes: dict[str, dict[str, Any]] = {
        "start": {"seed": seed, "config": measured, "run_id": run_id},
        "end": {"weights_digest": weights},
    }
    log = chained([{**e, **changes.get(e["event"], {})} for e in events])
    fields = {
        "run_id": run_id,
        "seed": seed,
        "config": measured,
        "weights_digest": weights,
        "event_log": None,
        "event_log_digest": hashlib.sha256(log).hexdigest(),
    }
    return with_entry_digest(entry.model_copy(update=fields)), log


def chained(events: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the lines of a log with these events, in a hash chain as in ``ledger.events``."""
    link, lines = CHAIN_START, []
    for event in events:
        own = {"event": event["event"], "time_utc": event["time_utc"]}
        body = json.dumps({**own, **without_own_fields(event)}).encode().removesuffix(b"}")
        link = hashlib.sha256(link.encode() + body).hexdigest()
        lines.append(body + f', "chain": "{link}"}}\n'.encode())
    return b"".join(lines)
