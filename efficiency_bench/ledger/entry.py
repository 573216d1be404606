"""Build the ledger entry of a run from its event log alone.

If the process dies after the last event and before the entry is written (a full disk, a kill), the
log is enough to write the entry later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from efficiency_bench import records
from efficiency_bench.errors import UserError
from efficiency_bench.identity import config_digest, data_name, row_date
from efficiency_bench.ledger.events import ends, parse_events, without_own_fields
from efficiency_bench.ledger.history import Event, effective_events, repeated_work_total
from efficiency_bench.ledger.store import with_entry_digest
from efficiency_bench.records import (
    UNKNOWN,
    Clocks,
    Cost,
    Entry,
    Evaluation,
    Provenance,
    RateSearch,
    Segment,
    Target,
)
from efficiency_bench.stop_rule import metric_of_start
from efficiency_bench.target_crossing import first_crossing, sustained_crossing


def entry_from_log(content: bytes, event_log: str) -> Entry:
    """Return the entry of a finished run, with every number from counts and none from rates.

    ``content`` is the event log, ``event_log`` its path relative to the ledger's folder.  Raises
    UserError if the log is damaged or the run has not ended.
    """
    read = parse_events(content, event_log)
    if read.torn is not None or read.broken_at is not None or not ends(content):
        raise UserError(
            f"{event_log} is not the complete event log of a run that has ended, so no entry can be"
            " made from it;\ntype the command that started the run again to resume it"
        )
    try:
        return with_entry_digest(
            _entry(read.events, hashlib.sha256(content).hexdigest(), event_log)
        )
    except (ValidationError, KeyError, TypeError, ValueError, StopIteration) as error:
        raise UserError(
            f"{event_log} is not the event log of a run of this program: {error!r};\n"
            "restore the original log, or train in another folder: run_dir=DIR"
        ) from error


def _entry(events: Sequence[Event], log_digest: str, event_log: str) -> Entry:
    kept = effective_events(events)
    start = next(event for event in kept if event["event"] == "start")
    end, config = kept[-1], start["config"]
    segments = tuple(Segment(**segment) for segment in end["segments"])
    evaluations = tuple(
        Evaluation(**without_own_fields(event)) for event in kept if event["event"] == "evaluation"
    )
    target = _target(start, evaluations)
    budget = start.get("budget")  # None: no budget, or a log from before there were any
    spent = records.paper3x_tfs_days(segments)
    repeated = repeated_work_total(events)
    passed = sum(segment.images for segment in segments)
    macs = sum(s.images * s.passes * s.forward_macs for s in segments)
    estimand: records.Estimand = "anytime"
    if config.get("estimand") == "budgeted":
        estimand = "budgeted"
    return Entry(
        run_id=start["run_id"],
        source="measured here",
        created_utc=datetime.fromisoformat(end["time_utc"]).isoformat(timespec="seconds"),
        experiment=config["experiment"],
        model=config["model"]["name"],
        recipe=config["recipe"]["name"],
        data=data_name(config["data"]["name"], start["classes"]),
        seed=config["seed"],
        repeat=config["repeat"],
        estimand=estimand,
        date=row_date(config),
        end_reason=end["reason"],
        end_detail=end["detail"],
        target=target,
        budget_asked=None if budget is None else budget["asked"],
        budget=None
        if budget is None
        else spent
        / records.baseline_tfs_days(
            budget["baseline_forward_macs"], budget["baseline_epochs"], start["train_images"]
        ),
        rates=None if start.get("rates") is None else RateSearch(**start["rates"]),
        classes=start["classes"],
        parameters=start.get("parameters"),  # None: a log from before they were recorded
        images=end["images"],
        steps=end["steps"],
        epochs=end["epochs"],
        forward_macs=macs / passed if passed else 0.0,  # of integers: exact if F is one
        paper3x_tfs_days=spent,
        exact_flops=records.exact_flops(segments),
        **target_fields(
            target,
            evaluations,
            segments,
            faultless=end["reason"] not in records.FAULTS,
            schedule_over=end["steps"] == start["total_steps"],
            train_images=start["train_images"],
            estimand=estimand,
        ),
        repeated_images=repeated.images,
        repeated_seconds=repeated.seconds,
        repeated_paper3x_tfs_days=repeated.paper3x_tfs_days,
        segments=segments,
        evaluations=evaluations,
        clocks=Clocks(
            train_seconds=end["train_seconds"],
            evaluation_seconds=end["evaluation_seconds"],
            setup_seconds=start["setup_seconds"],
        ),
        weights_digest=end["weights_digest"],
        data_digest=start["data_digest"],
        config_digest=config_digest(config),
        event_log_digest=log_digest,
        event_log=event_log,
        config=config,
        provenance=Provenance(**start["provenance"]),
        cost=cost_of(events),
    )


def _target(start: Event, evaluations: Sequence[Evaluation]) -> Target | None:
    """Return the target set before the run, or the one that a baseline's last evaluation sets.

    None: a budgeted run without a target.
    """
    if start["target"] is not None:
        return Target(**start["target"])
    if start["config"].get("estimand") == "budgeted":
        return None
    metric = metric_of_start(start)
    return Target(
        metric=metric,
        value=evaluations[-1].accuracy(metric) if evaluations else 0.0,
        confirmations=start["config"]["target"]["confirmations"],
        source="own_schedule",
    )


TARGET_FIELDS = (
    "reached",
    "first_crossing_images",
    "first_crossing_epochs",
    "sustained_crossing_images",
    "sustained_crossing_epochs",
    "paper3x_to_target_tfs_days",
    "exact_flops_to_target",
)
"""The fields of an entry that depend on its target."""


def target_fields(
    target: Target | None,
    evaluations: Sequence[Evaluation],
    segments: Sequence[Segment],
    *,
    faultless: bool,
    schedule_over: bool,
    train_images: int,
    estimand: records.Estimand = "anytime",
) -> dict[str, Any]:
    """Return whether and where a run reached its target: crossings, and the compute to them.

    The end of the schedule confirms evaluations that are above the target by then.  A baseline that
    finishes its schedule sets its own target: it reaches it by definition and is charged the whole
    schedule, as AlexNet was in 2020.  A budgeted run is charged its whole schedule too, and reaches
    the target if its final evaluation meets it; crossings within its schedule are recorded but do
    not change the charge.  A run that failed or diverged (not ``faultless``) never reaches it.
    Without a target all of it is None.
    """
    if target is None:
        return dict.fromkeys(TARGET_FIELDS)
    over = schedule_over and faultless
    first = first_crossing(target, evaluations)
    sustained = sustained_crossing(target, evaluations, schedule_over=over)
    charged: Sequence[Segment] | None = None
    if target.source == "own_schedule":
        reached = over
        charged = segments if reached else None
    elif estimand == "budgeted":
        reached = over and target.met_by(evaluations[-1].accuracy(target.metric))
        charged = segments if reached else None
    else:
        reached = sustained is not None and faultless
        if reached and sustained is not None:
            charged = records.segments_until(segments, sustained)
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


def cost_of(events: Sequence[Event]) -> Cost | None:
    """Return the cost from a complete log; None if the log is older than the cost fields.

    Peak and price come from the ``start`` event.  Energy is known if every attempt that contributes
    to the result was measured; repeated energy, if every attempt was.
    """
    attempts = [e["cost"] for e in events if e["event"] in ("start", "resume") and "cost" in e]
    start = next((e for e in events if e["event"] == "start"), {})
    end = next((e for e in events if e["event"] == "end"), {})
    if "cost" not in start:
        return None
    sources = [attempt["energy_source"] for attempt in attempts]
    known = "energy_joules" in end
    repeated = None
    if known and not any(source.startswith(UNKNOWN) for source in sources):
        repeated = sum(attempt.get("lost_energy_joules", 0.0) for attempt in attempts)
    return Cost(
        compile_seconds=sum(e["seconds"] for e in events if e["event"] == "compiled"),
        peak_flops_per_second=start["cost"]["peak"]["flops_per_second"],
        peak_method=start["cost"]["peak"]["method"],
        energy_joules=end.get("energy_joules"),
        evaluation_energy_joules=end.get("evaluation_energy_joules"),
        repeated_energy_joules=repeated,
        energy_source=_energy_source(sources, known),
        price_usd_per_hour=start["cost"]["price_usd_per_hour"],
        notes=_distinct([*(note for a in attempts for note in a["notes"]), *_halts(events, known)]),
    )


def _halts(events: Sequence[Event], energy_known: bool) -> list[str]:
    """Return a note on how long the process was stopped in all attempts, if it ever was."""
    seconds = [event["seconds"] for event in events if event["event"] == "halted"]
    if not seconds:
        return []
    energy = ", but the energy used meanwhile is counted" if energy_known else ""
    return [
        f"the process was stopped for {sum(seconds):.1f} s in all (SIGSTOP, a suspended job),"
        f" which is on no clock{energy}"
    ]


def _energy_source(sources: Sequence[str], known: bool) -> str:
    if known:
        return "; ".join(_distinct(sources))
    failed = f"{UNKNOWN}: the counter failed on the way"
    return next((source for source in sources if source.startswith(UNKNOWN)), failed)


def _distinct(texts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
