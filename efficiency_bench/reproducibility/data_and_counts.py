"""Verifies entries of a ledger, including checks that need the data or the network."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from efficiency_bench.config import DataConfig, RecipeConfig, from_plain
from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.ledger.archive import as_folder
from efficiency_bench.ledger.reference import published_entries
from efficiency_bench.ledger.short_ids import short_ids
from efficiency_bench.provenance import code_digest_at
from efficiency_bench.records import Entry
from efficiency_bench.report.tables.run_columns import run_names
from efficiency_bench.verify import (
    Check,
    Failure,
    LedgerIndex,
    SkippedCheck,
    Unconfirmed,
    Verification,
    verify,
)
from efficiency_bench.verify.evidence import Evidence
from efficiency_bench.verify.findings import Finding, equal
from efficiency_bench.verify.preregistration import Registration, registration_rule

PUBLISHED = "published"

MOST_CLASSES = 100_000
"""More than any image data set has (ImageNet-21k: 21,841); a layer for more classes could exhaust
this machine's memory."""

LARGEST_COUNTED_PX = 1024
"""Largest image side; the largest published one is 800 px (EfficientNet-L2), and a training step
of a VGG at 1024 px takes 6 GB."""

MOST_SIDES = 100
"""Most image sides of one progressive schedule; counting each takes one or two seconds."""


def verify_ledger(
    source: str,
    run_id: str | None,
    data_root: Path | None,
    decided: Sequence[Registration] = (),
) -> list[Verification]:
    """Verify one entry of a ledger, or all of them; a file that is not a valid entry fails.

    ``source`` is the ledger's folder or a zip of it, or ``published``; ``run_id`` may be a short
    id.  ``data_root`` holds the data sets, None: the default folder.  ``decided``:
    preregistrations that the entries are also checked against.  Raises UserError for a ledger or a
    run id that does not exist.
    """
    checks: list[Check] = [data_check(data_root), counts_again]
    if decided:
        checks.append(registration_rule(decided))
    with as_folder(Path(source)) as folder:
        published = source == PUBLISHED
        read = store.LedgerRead(published_entries(), ()) if published else store.read(folder)
        return list(_verified(folder, read, run_id, checks))


def _verified(
    folder: Path, read: store.LedgerRead, run_id: str | None, checks: Sequence[Check]
) -> Iterator[Verification]:
    entries, problems = read.entries, read.problems
    known = [e.run_id for e in entries] + [problem.path.stem for problem in problems]
    shorter, names = short_ids(known), run_names(entries)
    if run_id is not None:
        wanted = store.matching_id(known, run_id)
        problems = tuple(problem for problem in problems if problem.path.stem == wanted)
        entries = tuple(entry for entry in entries if entry.run_id == wanted)
    for problem in problems:
        yield Verification(problem.path.stem, (Failure("readable", "an entry", problem.reason),))
    index = LedgerIndex(read.entries)
    for entry in entries:
        result = verify(folder, entry, index, checks)
        yield replace(result, short_id=shorter[entry.run_id], name=names[entry.run_id])


def data_check(root: Path | None) -> Check:
    """A rule: the data under ``root`` has the digest and the sizes that the run recorded."""

    def data(evidence: Evidence) -> Iterator[Finding]:
        start = evidence.start
        try:
            digest, train_images, val_images, classes = data_facts(
                json.dumps(evidence.entry.config["data"]), root
            )
        except UserError as error:
            yield SkippedCheck("data", f"not at hand: {str(error).splitlines()[0]}")
            return
        yield from equal("data: digest", digest, evidence.entry.data_digest)
        yield from equal("data: train_images", train_images, start["train_images"])
        yield from equal("data: val_images", val_images, start["val_images"])
        yield from equal("data: classes", classes, start["classes"])

    return data


def counts_again(evidence: Evidence) -> Iterator[Finding]:
    """A rule: this checkout counts the same parameters, and the same MACs at every side.

    If not, the entry is wrong, unless its network's file has changed since and the repository
    still has the old version: then that commit has to be checked.
    """
    sides, classes = evidence.start["counts"], evidence.start["classes"]
    logged = evidence.start.get("budget")
    written_config = evidence.entry.config
    # seeds, budgets, and the trials of a search for the shortest schedule share one count; the
    # evaluation schedule does not matter, and entries from before 0.3 recorded it otherwise
    recipe = {**written_config["recipe"], "epochs": 1}
    same = {"seed": 0, "repeat": 0, "budget": None, "recipe": recipe, "evaluation": {}}
    config = json.dumps({**written_config, **same})
    sides_px = tuple(map(int, sides))
    try:
        _check_size(classes, sides_px)
        parameters, counted = counts(config, classes, sides_px)
    except UserError as error:
        yield Unconfirmed("counts", f"the network cannot be counted: {str(error).splitlines()[0]}")
        return
    if logged is not None:
        counted_now = baseline_macs(config, classes)
        yield from equal("counts: baseline", counted_now, logged["baseline_forward_macs"])
    differing = []
    recorded = evidence.start.get("parameters", parameters)  # older logs do not have them
    if recorded != parameters:
        differing.append(Failure("counts: parameters", parameters, recorded))
    for side, count in counted.items():
        written = sides[str(side)]
        if "by_operator" not in written:  # older logs do not have it
            count = {name: macs for name, macs in count.items() if name != "by_operator"}
        if count != written:
            differing.append(Failure(f"counts: at {side} px", count, written))
    if differing and (commit := older_network(evidence.entry)) is not None:
        yield Unconfirmed(
            "counts",
            f"the network's file has changed since: git checkout {commit}, and verify there",
        )
    else:
        yield from differing


def _check_size(classes: int, sides_px: Sequence[int]) -> None:
    """Raise UserError for sizes that take more memory or time than any published network."""
    if classes > MOST_CLASSES:
        raise UserError(f"{classes} classes; at most {MOST_CLASSES} are counted")
    if len(sides_px) > MOST_SIDES or max(sides_px, default=0) > LARGEST_COUNTED_PX:
        raise UserError(
            f"{len(sides_px)} sides up to {max(sides_px)} px; at most {MOST_SIDES} up to"
            f" {LARGEST_COUNTED_PX} px are counted"
        )


def older_network(entry: Entry) -> str | None:
    """The commit with the network that ``entry`` was counted with, if the network has changed.

    None if it has not changed, or if the repository lacks that version.  Entries of schema 2 have
    no digest of the network's file; for them, their commit is used if its code digest matches.
    """
    from efficiency_bench.counting.network_files import (
        commit_with,
        network_digest,
        network_digest_at,
    )

    facts, model, form = entry.provenance, entry.model, entry.config["form"]
    if facts is None:
        return None
    if facts.network_digest is not None:
        today = facts.network_digest == network_digest(model, form)
        return None if today else commit_with(facts.network_digest, model, form)
    if facts.commit is None or code_digest_at(facts.commit) != facts.code_digest:
        return None
    then = network_digest_at(facts.commit, model, form)
    return None if then in (None, network_digest(model, form)) else facts.commit


@lru_cache
def data_facts(data: str, root: Path | None) -> tuple[str, int, int, int]:
    """Digest, training images, validation images and classes of the data; never downloads.

    ``data`` is the JSON of a configuration's data part.  Raises UserError if the data or the
    library that reads it is missing.
    """
    _need_torch()
    import torch

    from efficiency_bench.data import build_data

    where = None if root is None else str(root)
    # files that were skipped were allowed, or the run would not have started
    here = {"root": where, "download": False, "allow_left_out": True}
    config = DataConfig(**{**json.loads(data), **here})
    plain = RecipeConfig(batch_size=1)  # no augmentation: only the data is read
    built = build_data(config, plain, 0, torch.device("cpu"))
    return built.digest, built.train_images, built.val_images, len(built.classes)


@lru_cache
def counts(
    config: str, classes: int, sides_px: tuple[int, ...]
) -> tuple[int, dict[int, dict[str, Any]]]:
    """Parameters of a network and its MACs per image by side, counted now on the CPU.

    Raises UserError if that fails.

    ``config`` is the JSON of an entry's configuration.
    """
    _need_torch()
    from efficiency_bench.counting import trainable_parameters
    from efficiency_bench.run.setup import count_fields, counted_model

    loaded = from_plain(json.loads(config))
    try:
        model, counted = counted_model(replace(loaded, device="cpu"), classes, sides_px)
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:  # a library's network may raise anything for untrusted settings
        raise UserError(f"{type(error).__name__}: {error}") from error
    macs = {side: count_fields(count) for side, count in counted.items()}
    return trainable_parameters(model), macs


@lru_cache
def baseline_macs(config: str, classes: int) -> int:
    """Forward MACs per image of the baseline of a budgeted run, counted now on the CPU."""
    from efficiency_bench.run.budgeted import budget_fields

    return int(budget_fields(from_plain(json.loads(config)), classes)["baseline_forward_macs"])


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise UserError("torch is not installed")
