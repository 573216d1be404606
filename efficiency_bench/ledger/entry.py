"""The ledger entry of a run, put together from its ending, its evaluations and its config."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from efficiency_bench import records, target_crossing
from efficiency_bench.bounds import whole_characters
from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.identity import config_digest, data_name, row_date
from efficiency_bench.ledger import events
from efficiency_bench.ledger.history import RepeatedWork
from efficiency_bench.ledger.store import with_entry_digest
from efficiency_bench.records import Clocks, Cost, Entry, Evaluation, Provenance, Target
from efficiency_bench.training.trainer import Ending


def build_entry(
    *,
    run_id: str,
    config: RunConfig,
    target: Target,
    ending: Ending,
    evaluations: Sequence[Evaluation],
    classes: int,
    train_images: int,
    total_steps: int,
    data_digest: str,
    weights_digest: str | None,
    setup_seconds: float,
    repeated: RepeatedWork,
    event_log: Path,
    ledger_dir: Path,
    provenance: Provenance,
    cost: Cost | None,
) -> Entry:
    """The immutable record of one ended run; every number from counts, none from rates."""
    paper3x = records.paper3x_tfs_days(ending.segments)
    exact = records.exact_flops(ending.segments)
    passed = sum(segment.images for segment in ending.segments)
    macs = sum(s.images * s.passes * s.forward_macs for s in ending.segments)
    measured = measured_part(config)
    estimand: records.Estimand = "budgeted" if config.estimand == "budgeted" else "anytime"
    entry = Entry(
        run_id=run_id,
        source="measured here",
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        experiment=config.experiment,
        model=config.model.name,
        recipe=config.recipe.name,
        data=data_name(config.data.name, classes),
        seed=config.seed,
        repeat=config.repeat,
        estimand=estimand,
        date=row_date(measured),
        end_reason=_reason(ending),
        end_detail=ending.detail,
        target=target,
        images=ending.images,
        steps=ending.steps,
        epochs=ending.epochs,
        forward_macs=macs / passed if passed else 0.0,  # of integers: exact where F is one
        paper3x_tfs_days=paper3x,
        exact_flops=exact,
        **arrival(
            target,
            ending,
            evaluations,
            train_images=train_images,
            total_steps=total_steps,
            estimand=estimand,
        ),
        repeated_images=repeated.images,
        repeated_seconds=repeated.seconds,
        repeated_paper3x_tfs_days=repeated.paper3x_tfs_days,
        segments=ending.segments,
        evaluations=tuple(evaluations),
        clocks=Clocks(
            train_seconds=ending.train_seconds,
            evaluation_seconds=ending.evaluation_seconds,
            setup_seconds=setup_seconds,
        ),
        weights_digest=weights_digest,
        data_digest=data_digest,
        config_digest=config_digest(measured),
        event_log_digest=events.digest(event_log),
        event_log=whole_characters(os.path.relpath(event_log, ledger_dir)),
        config=measured,
        provenance=provenance,
        cost=cost,
    )
    return with_entry_digest(entry)


def _reason(ending: Ending) -> records.EndReason:
    match ending.reason:
        case "target" | "schedule" | "diverged" | "failed":
            return ending.reason
    raise ValueError(f"{ending.reason} is no ending for the ledger")


def arrival(
    target: Target,
    ending: Ending,
    evaluations: Sequence[Evaluation],
    *,
    train_images: int,
    total_steps: int,
    estimand: records.Estimand = "anytime",
) -> dict[str, Any]:
    """Whether and where the run arrived: crossings in images and epochs, compute to them.

    The schedule's end confirms what is over the target then.  A baseline that ran its schedule
    to the end has set its own target: it has arrived by definition and is charged the whole
    schedule, as AlexNet was in 2020.  So is a budgeted run, which has arrived if its final
    evaluation meets the target; the crossings inside its schedule are kept, and charge nothing.
    """
    over = ending.steps == total_steps and ending.reason in ("target", "schedule")
    first = target_crossing.first_crossing(target, evaluations)
    sustained = target_crossing.sustained_crossing(target, evaluations, schedule_over=over)
    if target.source == "own_schedule":
        charged = ending.segments if over else None
        reached = over
    elif estimand == "budgeted":
        reached = over and target.met_by(evaluations[-1].accuracy(target.metric))
        charged = ending.segments if reached else None
    else:
        charged = None
        reached = sustained is not None and ending.reason in ("target", "schedule")
        if reached and sustained is not None:
            charged = records.segments_until(ending.segments, sustained)
    return {
        "reached": reached,
        "first_crossing_images": first,
        "first_crossing_epochs": None if first is None else first / train_images,
        "sustained_crossing_images": sustained,
        "sustained_crossing_epochs": None if sustained is None else sustained / train_images,
        "paper3x_to_target_tfs_days": None
        if charged is None
        else records.paper3x_tfs_days(charged),
        "exact_flops_to_target": None if charged is None else records.exact_flops(charged),
    }
