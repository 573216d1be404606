"""Rules about identity: names, dates and digests follow from the config; nothing was edited.

An entry is literal: it holds no reference that reading could resolve.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from efficiency_bench import identity, provenance
from efficiency_bench.errors import UserError
from efficiency_bench.git import COMMIT
from efficiency_bench.ledger.events import parse_events
from efficiency_bench.ledger.store import content_digest
from efficiency_bench.verify.evidence import Evidence, LogCopy
from efficiency_bench.verify.findings import (
    Failure,
    Finding,
    Remark,
    SkippedCheck,
    Unconfirmed,
    equal,
    fields,
)
from efficiency_bench.verify.schema import unknown_keys

SEALED_SINCE = 2
"""First schema whose entries have a digest of their content."""

CODE_SINCE = 3
"""First schema in which ``dirty`` covers files that git does not track."""

ALSO_AT_THE_START = (
    "run_id",
    "experiment",
    "model",
    "recipe",
    "data",
    "seed",
    "repeat",
    "date",
    "data_digest",
    "config_digest",
)
"""Fields of an entry that the log's ``start`` event also holds."""


def entry_digest(evidence: Evidence) -> Iterator[Finding]:
    """Check the digest of the entry's fields, which every entry has from schema 2 on."""
    entry = evidence.entry
    if entry.schema_version < SEALED_SINCE:
        found = entry.schema_version
        yield Failure("entry digest: schema_version", f"at least {SEALED_SINCE}", found)
    yield from equal("entry digest", content_digest(entry), entry.entry_digest)


def keys(evidence: Evidence) -> Iterator[Finding]:
    """Check that the entry and its configuration have only keys of their schema."""
    entry = evidence.entry
    written = entry.model_dump(exclude_unset=True)
    for key in unknown_keys(written, entry.schema_version, entry.tier == "measured"):
        yield Failure(f"keys: {key}", f"a key of schema {entry.schema_version}", "unknown")


def event_log(evidence: Evidence) -> Iterator[Finding]:
    """Check that every copy of the log is complete and is the one that the entry was made from."""
    wanted = evidence.entry.event_log_digest
    if not evidence.logs:
        yield Failure("event log", wanted, None)
    for log in evidence.logs:
        if log.content is None:
            yield Failure(f"event log: {log.name}", "a readable log", log.problem)
        else:
            yield from equal(f"event log: {log.name}", wanted, log.digest)
            yield from _unbroken(log)
    read = evidence.read
    if read is None:
        yield Failure("event log: events", "one JSON object a line", None)
        return
    if read.torn is not None:
        yield Failure("event log: last line", "whole", read.torn)
    # a first line that was torn while being written leaves a repair event before the start
    kinds = [event["event"] for event in evidence.effective_events if event["event"] != "repair"]
    yield from equal("event log: first event", "start", kinds[0] if kinds else None)
    yield from equal("event log: last event", "end", kinds[-1] if kinds else None)
    for kind in ("start", "end"):
        yield from equal(f"event log: {kind} events", 1, kinds.count(kind))


def _unbroken(log: LogCopy) -> Iterator[Finding]:
    """Check the chain of digests, and report the first line that breaks it."""
    try:
        read = parse_events(log.content or b"", log.name)
    except UserError as error:
        yield Failure(f"event log: {log.name}", "one JSON object a line", str(error))
        return
    if read.broken_at is not None:
        place = f"line {read.broken_at} does not"
        yield Failure(f"event log: {log.name}", "every line continues the chain", place)


def names(evidence: Evidence) -> Iterator[Finding]:
    """Check that config digest, run id and row date follow from the configuration and the log."""
    entry, config = evidence.entry, evidence.entry.config
    yield from equal("config digest", identity.config_digest(config), entry.config_digest)
    level = None if entry.sets_target else entry.target
    run_id = identity.run_id(config, entry.data, entry.data_digest or "", level)
    yield from equal("run id", run_id, entry.run_id)
    yield from equal("date", identity.row_date(config), entry.date)
    yield from equal("names: model", config["model"]["name"], entry.model)
    yield from equal("names: recipe", config["recipe"]["name"], entry.recipe)
    yield from equal("names: data", _data_name(evidence), entry.data)
    for name in ("experiment", "seed", "repeat"):
        yield from equal(f"names: {name}", config[name], getattr(entry, name))
    yield from equal("names: tier", "measured", entry.tier)
    yield from equal("names: source", "measured here", entry.source)
    yield from equal("names: estimand", config.get("estimand", "anytime"), entry.estimand)
    if not evidence.start:
        return
    written = entry.model_dump(mode="json")
    yield from fields("start event", evidence.start, written, ALSO_AT_THE_START)
    yield from equal("start event: config", evidence.start.get("config"), written["config"])
    # leave out fields that were added after the log was written
    facts = entry.provenance and entry.provenance.model_dump(mode="json", exclude_unset=True)
    yield from equal("start event: provenance", evidence.start.get("provenance"), facts)


def _data_name(evidence: Evidence) -> str:
    """Return the data's name: of ImageNet's loaders, only 1,000 classes are called ImageNet."""
    asked = str(evidence.entry.config["data"]["name"])
    other = asked.startswith("imagenet") and evidence.start.get("classes", 1000) != 1000
    return "folder" if other else asked


def dates(evidence: Evidence) -> Iterator[Finding]:
    """Check the order of dates: published before measured, written after the run's last event."""
    entry = evidence.entry
    try:
        created = datetime.fromisoformat(entry.created_utc)
        published = date.fromisoformat(entry.date or "")
        times = [datetime.fromisoformat(e["time_utc"]) for e in evidence.read.events]  # type: ignore[union-attr]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        yield Failure("dates", "ISO 8601", str(error))
        return
    if published > created.date():
        yield Failure("dates: published", f"no later than {created.date()}", entry.date)
    # the entry's time is in whole seconds
    if times and created.timestamp() < int(times[-1].timestamp()):
        yield Failure("dates: created", f"no earlier than {times[-1]}", entry.created_utc)
    if times != sorted(times):
        yield Remark("dates", "the system clock went back during the run; the run's clocks did not")


def distinct(evidence: Evidence) -> Iterator[Finding]:
    """Check that no other entry has the same seed and repeat of a row, weights or log."""
    for name, other in evidence.ledger.sharing(evidence.entry):
        if name == "sample":
            yield Failure("distinct seeds", "another seed or repeat", other.run_id)
        else:
            yield Failure(f"distinct runs: {name}", "its own", f"that of {other.run_id}")


def code(evidence: Evidence) -> Iterator[Finding]:
    """Note if the run's code differed from its commit or differs from this checkout."""
    facts = evidence.entry.provenance
    if facts is None:
        yield Failure("code", "a commit and a digest", None)
        return
    if facts.dirty:
        yield Remark("code", f"tracked files differed from commit {(facts.commit or '')[:12]}")
    for event in evidence.events("resume"):
        if event["provenance"]["code_digest"] != facts.code_digest:
            yield Remark("code", f"the run was resumed with other code after step {event['steps']}")
    if facts.code_digest != provenance.code_digest():
        yield Remark("code", f"written by other code ({facts.code_digest[:12]}) than this checkout")


def code_of_the_commit(evidence: Evidence) -> Iterator[Finding]:
    """Check the code digest against the commit, if git and the commit are available."""
    facts = evidence.entry.provenance
    if facts is None or facts.dirty:  # no commit holds the code of a dirty checkout
        return
    if facts.commit is None:
        yield Remark("code", "written outside a repository: its code cannot be checked")
        return
    if not COMMIT.fullmatch(facts.commit):
        yield Failure("code: commit", "40 or 64 hexadecimal digits", facts.commit)
        return
    digest = provenance.code_digest_at(facts.commit)
    if digest is None:
        yield Remark(
            "code", f"commit {facts.commit[:12]} is not available: its code was not checked"
        )
    elif digest != facts.code_digest:
        if evidence.entry.schema_version >= CODE_SINCE:
            yield Failure(f"code: digest at {facts.commit[:12]}", digest, facts.code_digest)
        else:  # untracked files were in the digest but did not set dirty
            reason = f"its digest is not that of commit {facts.commit[:12]}: {digest[:12]}"
            yield Unconfirmed("code", reason)


def no_evidence(evidence: Evidence) -> Iterator[Finding]:
    """Skip the event log of a row that was not trained here: it has none."""
    yield SkippedCheck("event log", f"{evidence.entry.tier} row: no event log")


def nothing_to_resolve(evidence: Evidence) -> Iterator[Finding]:
    """Check that no string of the entry holds ``${``: resolving it could read from this machine."""
    for key, value in identity.leaves(evidence.entry.model_dump(mode="json")):
        if isinstance(value, str) and "${" in value:
            yield Failure(f"plain text: {key}", "no ${...}; nothing of it was resolved", value)
