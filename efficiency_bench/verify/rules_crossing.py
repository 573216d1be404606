"""Rules about reaching the target: when the run was evaluated, why it ended, where it crossed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from efficiency_bench.ledger.baseline import is_baseline
from efficiency_bench.ledger.entry import TARGET_FIELDS
from efficiency_bench.records import (
    FAULTS,
    Entry,
    Segment,
    Target,
    exact_flops,
    paper3x_tfs_days,
    segments_until,
)
from efficiency_bench.stop_rule import first_index, sustained_index
from efficiency_bench.verify.evidence import Evidence
from efficiency_bench.verify.findings import Failure, Finding, Unconfirmed, close, equal
from efficiency_bench.verify.recount import interpolated_images, plan_of


def cadence(evidence: Evidence) -> Iterator[Finding]:
    """Check that evaluations happened exactly at the steps that the configuration implies."""
    entry, target = evidence.entry, _stopping_target(evidence)
    accuracies = _accuracies(entry)
    due = list(plan_of(evidence).evaluated_steps(target, accuracies, entry.steps or 0))
    done = [e.steps for e in entry.evaluations]
    # after a fault between a step and its evaluation, the last evaluation is missing
    allowed = [due, due[:-1]] if entry.end_reason in FAULTS else [due]
    if done not in allowed:
        yield Failure("cadence", due, done)


def stop(evidence: Evidence) -> Iterator[Finding]:
    """Check that the run ended exactly where the stop rule, the schedule or a fault ended it."""
    entry, end, target = evidence.entry, evidence.end, _stopping_target(evidence)
    over = entry.steps == plan_of(evidence).total_steps
    yield from equal("stop: reason", end["reason"], entry.end_reason)
    yield from equal("stop: detail", end["detail"], entry.end_detail)
    yield from equal("stop: weights_digest", end["weights_digest"], entry.weights_digest)
    if entry.end_reason in FAULTS:
        return
    accuracies = _accuracies(entry)
    confirmed = None if target is None else _confirmed_after(target, accuracies, over)
    expected = "schedule" if confirmed is None else "target"
    yield from equal("stop: by the rule", expected, entry.end_reason)
    if confirmed is not None and confirmed != len(accuracies):
        step = entry.evaluations[confirmed - 1].steps
        yield Failure("stop: step", step, entry.steps)
    if expected == "schedule" and not over:
        yield Failure("stop: step", plan_of(evidence).total_steps, entry.steps)


def _confirmed_after(target: Target, accuracies: Sequence[float], over: bool) -> int | None:
    """Return after how many evaluations the crossing was confirmed, or None."""
    index = sustained_index(target, accuracies, schedule_over=False)
    if index is not None:
        return index + 1 + target.confirmations
    at_the_end = over and sustained_index(target, accuracies, schedule_over=True) is not None
    return len(accuracies) if at_the_end else None


def _accuracies(entry: Entry) -> list[float]:
    """Return the accuracies that the target looks at; without a target nothing depends on them."""
    metric = entry.target.metric if entry.target else "top1"
    return [e.accuracy(metric) for e in entry.evaluations]


def crossings(evidence: Evidence) -> Iterator[Finding]:
    """Check first and sustained crossing, ``reached``, and the compute to the target."""
    entry, target = evidence.entry, evidence.entry.target
    if target is None:
        for name in TARGET_FIELDS:
            yield from equal(f"crossing: {name}", None, getattr(entry, name))
        return
    train_images = evidence.start["train_images"]
    points = [(e.images, e.accuracy(target.metric), e.val_images) for e in entry.evaluations]
    accuracies = [accuracy for _, accuracy, _ in points]
    over = entry.steps == plan_of(evidence).total_steps and entry.end_reason not in FAULTS
    found = {
        "first": first_index(target, accuracies),
        "sustained": sustained_index(target, accuracies, over),
    }
    for kind, index in found.items():
        images = None
        if index is not None:
            images = interpolated_images(target.threshold, points, index)
        yield from close(f"crossing: {kind}", images, getattr(entry, f"{kind}_crossing_images"))
        epochs = None if images is None else images / train_images
        name = f"{kind}_crossing_epochs"
        yield from close(f"crossing: {name}", epochs, getattr(entry, name))
    own = target.source == "own_schedule"
    whole = own or entry.estimand == "budgeted"
    arrived = found["sustained"] is not None and entry.end_reason not in FAULTS
    if whole:
        arrived = over and (own or target.met_by(accuracies[-1]))
    yield from equal("crossing: reached", arrived, entry.reached)
    charged: Sequence[Segment] | None = None
    if arrived:
        until = entry.images if whole else entry.sustained_crossing_images
        charged = segments_until(entry.segments, until or 0)
    for name, sum_up in (
        ("paper3x_to_target_tfs_days", paper3x_tfs_days),
        ("exact_flops_to_target", exact_flops),
    ):
        compute = None if charged is None else sum_up(charged)
        yield from close(f"crossing: {name}", compute, getattr(entry, name))


def targets(evidence: Evidence) -> Iterator[Finding]:
    """Check that the target is the setting, the baseline's mean, or the run's own last accuracy."""
    entry, target, asked = evidence.entry, evidence.entry.target, evidence.entry.config["target"]
    if target is None:
        yield from equal("target: start event", None, evidence.start["target"])
        yield from equal("target: value", None, asked["value"])
        yield from equal("target: estimand", "budgeted", entry.estimand)
        return
    yield from equal("target: confirmations", asked["confirmations"], target.confirmations)
    yield from equal("target: comparison", asked["comparison"], target.comparison)
    usual = "top5" if evidence.start["classes"] >= 100 else "top1"
    yield from equal("target: metric", asked["metric"] or usual, target.metric)
    started = evidence.start["target"]
    if target.source == "own_schedule":
        yield from equal("target: start event", None, started)
        last = entry.evaluations[-1].accuracy(target.metric) if entry.evaluations else 0.0
        yield from equal("target: own level", last, target.value)
        yield from equal("target: tolerance", 0.0, target.tolerance)
        yield from equal("target: baseline runs", (), target.baseline_run_ids)
        return
    yield from equal("target: start event", started, target.model_dump(mode="json"))
    if target.source == "baseline":
        yield from _baseline(evidence)
    else:
        yield from equal("target: value", asked["value"], target.value)
        yield from equal("target: tolerance", asked["tolerance"], target.tolerance)
        yield from _published(evidence)
    yield from _above_chance(evidence)


def _published(evidence: Evidence) -> Iterator[Finding]:
    """Check that only top-5 79.1 % on full ImageNet (1,000 classes) counts as published."""
    target, data = evidence.entry.known_target, evidence.entry.config["data"]
    level = (target.metric, target.value) == ("top5", 0.791) and data["name"].startswith("imagenet")
    yield from equal("target: source", "published" if level else "setting", target.source)
    if level:
        yield from equal("target: classes of the level", 1000, evidence.start["classes"])
        if data["val_images"] is None:  # a subset has the requested size
            found = evidence.start["val_images"]
            yield from equal("target: validation images of the level", 50_000, found)


def _above_chance(evidence: Evidence) -> Iterator[Finding]:
    """Check that the target exceeds chance c by over three standard errors sqrt(c (1 - c) / n)."""
    target, start = evidence.entry.known_target, evidence.start
    guesses = {"top1": 1, "top5": 5}[target.metric]
    chance = min(1.0, guesses / start["classes"])
    error = math.sqrt(chance * (1 - chance) / start["val_images"])
    if target.value - target.tolerance <= chance + 3 * error:
        yield Failure("target: above chance", f"over {chance + 3 * error:.4g}", target.value)


def _baseline(evidence: Evidence) -> Iterator[Finding]:
    target, known = evidence.entry.known_target, evidence.ledger.by_run_id
    missing = [run_id for run_id in target.baseline_run_ids if run_id not in known]
    if missing or not target.baseline_run_ids:
        yield Unconfirmed(
            "target", f"baseline runs not in this ledger: {', '.join(missing) or 'none'}"
        )
        return
    runs = [known[run_id] for run_id in target.baseline_run_ids]
    finals = [run.evaluations[-1].accuracy(target.metric) for run in runs if run.evaluations]
    yield from close("target: mean of the baseline", math.fsum(finals) / len(runs), target.value)
    yield from equal("target: tolerance", 0.0, target.tolerance)
    for run in runs:
        yield from equal(
            f"target: data of {run.run_id}", run.data_digest, evidence.entry.data_digest
        )
        yield from equal(f"target: {run.run_id} is a baseline", True, is_baseline(run))


def _stopping_target(evidence: Evidence) -> Target | None:
    """Return the target that stops the run; None if it always trains its whole schedule."""
    entry = evidence.entry
    to_the_end = entry.sets_target or entry.estimand == "budgeted"
    return None if to_the_end else entry.target
