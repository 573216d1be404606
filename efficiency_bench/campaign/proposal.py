"""A row that is offered to the common ledger, judged as its referee would judge it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from efficiency_bench.campaign.verification import verify_ledger
from efficiency_bench.ledger import store
from efficiency_bench.ledger.verification import Verification
from efficiency_bench.records import Entry

LEAST_SEEDS = 3
"""Two leave one degree of freedom: Student's interval would be 12.7 standard errors wide."""

LOCATOR = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.|https?://", re.IGNORECASE)
"""What makes a citation one that can be looked up."""


@dataclass(frozen=True)
class Proposal:
    """The runs that a pull request brings, and what it still lacks."""

    seeds: tuple[Entry, ...]
    """The row: every run of one configuration that was held to one target, in order of seed."""
    baselines: tuple[Entry, ...]
    """The runs that set this target, as far as the ledger has them."""
    verifications: tuple[Verification, ...]
    """Of the seeds, then of the baselines."""
    missing: tuple[str, ...]
    """What a referee would send it back for; none: it can be offered."""


def propose(ledger_dir: Path, run_id: str, data_root: Path | None) -> Proposal:
    """Gather the row of ``run_id`` (a unique beginning is enough) and judge it.

    ``data_root`` holds the data sets, None: the default place.  Raises UserError where the ledger
    or the run is not there.
    """
    read = store.read(ledger_dir)
    entries = read.entries
    asked = store.matching(entries, run_id)
    seeds = sorted((e for e in entries if _row(e) == _row(asked)), key=_place)
    named = {name for entry in seeds for name in entry.target.baseline_run_ids}
    baselines = [entry for entry in entries if entry.run_id in named]
    offered = [*seeds, *baselines]
    checked = [verify_ledger(str(ledger_dir), e.run_id, data_root)[0] for e in offered]
    missing = [
        *(f"{e.run_id}: {lack}" for e in offered for lack in _lacks(ledger_dir, e)),
        *(f"{v.run_id}: verify fails: {_rules(v)}" for v in checked if not v.ok),
        *_lacks_of_the_row(seeds),
        *(f"{problem.path} cannot be read: {problem.reason}" for problem in read.problems),
    ]
    if absent := sorted(named - {entry.run_id for entry in baselines}):
        missing.append(f"runs that set the target are not in this ledger: {', '.join(absent)}")
    return Proposal(tuple(seeds), tuple(baselines), tuple(checked), tuple(missing))


def _row(entry: Entry) -> tuple[object, ...]:
    """Seeds of one row share this; an entry without a configuration stands alone."""
    alone = entry.run_id if entry.config_digest is None else entry.config_digest
    return alone, entry.date, entry.data_digest, entry.target.metric, entry.target.threshold


def _place(entry: Entry) -> tuple[int, int]:
    return (-1 if entry.seed is None else entry.seed), entry.repeat


def _lacks(ledger_dir: Path, entry: Entry) -> Iterator[str]:
    """What one entry lacks beyond what ``verify`` recomputes."""
    if entry.tier != "measured":
        yield f"tier {entry.tier}: only rows that were measured with this harness are taken"
        return
    log = store.log_path(ledger_dir, entry.run_id)
    if not log.is_file():
        yield f"its event log {log} is missing"
    facts = entry.provenance
    if facts is None or facts.commit is None:
        yield "measured outside a git repository: its code cannot be looked up; train in a clone"
    elif facts.dirty is not False:
        yield "measured with local changes: commit them and train again with repeat=1"
    if entry.end_reason == "failed":
        yield "ended by a fault: train again with repeat=1"


def _lacks_of_the_row(seeds: Sequence[Entry]) -> Iterator[str]:
    """What the seeds lack together, and the row's date."""
    found = {entry.seed for entry in seeds}
    if len(found) < LEAST_SEEDS:
        further = [seed for seed in range(LEAST_SEEDS) if seed not in found]
        wanted = further[: LEAST_SEEDS - len(found)]
        yield (
            f"{len(found)} of {LEAST_SEEDS} seeds: the same command with "
            f"{' and '.join(f'seed={seed}' for seed in wanted)}"
        )
    entry = seeds[0]
    if entry.date is None:
        yield "the row has no date: write the first publication's into configs/model"
    if entry.tier == "measured":
        yield from _lacks_a_source(entry, "model", "paper", "published")
        yield from _lacks_a_source(entry, "recipe", "citation", "date")


def _lacks_a_source(entry: Entry, part: str, source: str, date: str) -> Iterator[str]:
    fields = entry.config.get(part, {})
    text = str(fields.get(source))
    if fields.get(date) is not None and not LOCATOR.search(text):
        yield f"no source for the {part}'s date: {text!r} has no arXiv number, DOI or address"


def _rules(result: Verification) -> str:
    return ", ".join(sorted({failure.rule for failure in result.failures}))
