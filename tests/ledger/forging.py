"""Forge entries and logs consistently: every digest and chain is recomputed."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from efficiency_bench import identity
from efficiency_bench.ledger import events, store
from efficiency_bench.ledger.store import with_entry_digest
from efficiency_bench.records import TERAFLOPS_DAY, Entry, Target

Json = dict[str, Any]


class Forgery:
    """A run's entry and log as JSON, to be edited and written as if the run had happened so."""

    def __init__(self, ledger: Path, run_id: str) -> None:
        self.entry: Json = json.loads((ledger / f"{run_id}.json").read_text())
        packed = (ledger / "events" / f"{run_id}.jsonl.gz").read_bytes()
        self.events: list[Json] = [
            json.loads(line) for line in gzip.decompress(packed).splitlines()
        ]

    @property
    def start(self) -> Json:
        return next(event for event in self.events if event["event"] == "start")

    @property
    def end(self) -> Json:
        return next(event for event in self.events if event["event"] == "end")

    def both(self, name: str, value: Any) -> None:
        """Set a field in both the entry and the start event; dots reach nested objects."""
        *above, last = name.split(".")
        for place in (self.entry, self.start):
            for part in above:
                place = place[part]
            place[last] = copy.deepcopy(value)

    def without(self, name: str) -> None:
        """Remove a field from both."""
        *above, last = name.split(".")
        for place in (self.entry, self.start):
            for part in above:
                place = place[part]
            del place[last]

    def as_schema(self, version: int) -> None:
        """Give the entry an earlier schema, without the keys that were added after it."""
        self.entry["schema_version"] = version
        if version < 4:
            for name in store.ADDED_IN_4:
                self.entry.pop(name)
            self.without("config.target.baseline_epochs")
        if version < 3:
            self.without("provenance.network_digest")

    def weights(self, digest: str) -> None:
        """Give the run a unique weights digest."""
        self.entry["weights_digest"] = self.end["weights_digest"] = digest

    def divide_macs(self, divisor: int) -> None:
        """Scale the cost of the network consistently, everywhere it is recorded."""
        (count,) = self.start["counts"].values()
        for name in ("forward_macs", "first_layer_macs", "backward_macs"):
            count[name] = max(1, count[name] // divisor)
        count["by_operator"] = {"aten::_convolution": count["forward_macs"]}
        for segment in (*self.entry["segments"], *self.end["segments"]):
            segment.update({name: count[name] for name in count if name in segment})
        forward, both = count["forward_macs"], count["forward_macs"] + count["backward_macs"]
        for event in self.events:
            if "paper3x_tfs_days" in event:
                event["paper3x_tfs_days"] = 3 * forward * event["images"] / TERAFLOPS_DAY
        images = self.entry["images"]
        self.entry |= {
            "forward_macs": float(forward),
            "paper3x_tfs_days": 3 * forward * images / TERAFLOPS_DAY,
            "exact_flops": float(2 * both * images),
        }
        if self.entry["paper3x_to_target_tfs_days"] is not None:
            charged = round(self.entry["sustained_crossing_images"])
            self.entry["paper3x_to_target_tfs_days"] = 3 * forward * charged / TERAFLOPS_DAY
            self.entry["exact_flops_to_target"] = float(2 * both * charged)

    def write(self, ledger: Path) -> str:
        """Recompute run id, digests and chain, write entry and log, and return the run id."""
        config = self.entry["config"]
        if "config" in self.start:
            self.start["config"] = copy.deepcopy(config)
        self.both("config_digest", identity.config_digest(config))
        target = Target(**self.entry["target"])
        level = None if target.source == "own_schedule" else target
        run_id = identity.run_id(config, self.entry["data"], self.entry["data_digest"], level)
        self.both("run_id", run_id)
        log = chained(self.events)
        self.entry["event_log_digest"] = hashlib.sha256(log).hexdigest()
        self.entry["event_log"] = None
        entry = with_entry_digest(Entry.model_validate(self.entry))
        (ledger / "events").mkdir(parents=True, exist_ok=True)
        (ledger / "events" / f"{run_id}.jsonl.gz").write_bytes(gzip.compress(log, mtime=0))
        written = {**self.entry, "entry_digest": entry.entry_digest}
        (ledger / f"{run_id}.json").write_text(json.dumps(written))
        return run_id


def chained(lines: list[Json]) -> bytes:
    """Return the bytes of the log that these events would have produced."""
    content, link = b"", events.CHAIN_START
    for line in lines:
        body = json.dumps({k: v for k, v in line.items() if k != "chain"}).encode()[:-1]
        link = hashlib.sha256(link.encode() + body).hexdigest()
        content += body + f', "chain": "{link}"}}\n'.encode()
    return content


@contextmanager
def replaced(files: Mapping[Path, bytes]) -> Iterator[None]:
    """Replace the bytes of files for a while, and always restore them."""
    before = {path: path.read_bytes() for path in files}
    try:
        for path, content in files.items():
            path.write_bytes(content)
        yield
    finally:
        for path, content in before.items():
            path.write_bytes(content)
