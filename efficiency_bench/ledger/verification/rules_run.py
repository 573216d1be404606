"""Rules about the run: steps, images, segments, compute, evaluations, cadence, stop, crossing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from efficiency_bench.ledger.verification.evidence import Evidence
from efficiency_bench.ledger.verification.findings import Failure, Finding, Skipped, close, equal
from efficiency_bench.ledger.verification.recount import Plan, interpolated_images
from efficiency_bench.records import (
    TERAFLOPS_DAY,
    Evaluation,
    Segment,
    Target,
    exact_flops,
    paper3x_tfs_days,
    segments_until,
)
from efficiency_bench.target import first_index, sustained_index

FAULTS = ("diverged", "failed")
IMAGE_ROUNDING = 1e-6
"""Share of one image by which a fraction of a set may miss a whole number of images."""


def plan_of(evidence: Evidence) -> Plan:
    """The recount of this run; KeyError where the log does not say how many images there are."""
    return Plan(evidence.entry.config, evidence.start["train_images"])


def steps_and_images(evidence: Evidence) -> Iterator[Finding]:
    """Every count of the log and of the entry is the one that its steps give."""
    plan, entry = plan_of(evidence), evidence.entry
    yield from equal("schedule: total_steps", plan.total_steps, evidence.start["total_steps"])
    yield from equal(
        "schedule: epochs", entry.config["recipe"]["epochs"], evidence.start["total_epochs"]
    )
    asked = entry.config["data"]["train_images"]
    if asked is not None:
        yield from equal("schedule: train_images", asked, plan.train_images)
    places = [(f"{e['event']} at step {e.get('steps')}", e) for e in _counted(evidence)]
    places.append(("entry", entry.model_dump(mode="json")))
    for name, record in places:
        images = plan.images(record["steps"])
        yield from equal(f"images: {name}", images, record["images"])
        yield from close(f"epochs: {name}", images / plan.train_images, record["epochs"])
        if record["steps"] > plan.total_steps:
            yield Failure(f"steps: {name}", f"at most {plan.total_steps}", record["steps"])
    yield from equal("steps: entry", evidence.end["steps"], entry.steps)
    steps = [event["steps"] for event in _counted(evidence)]
    if steps != sorted(steps):
        yield Failure("steps: order", "never fewer than before", steps)


def segments(evidence: Evidence) -> Iterator[Finding]:
    """Images by resolution and cost, as the schedule gives them; the log has the same."""
    entry, plan = evidence.entry, plan_of(evidence)
    counted = plan.segments(entry.steps or 0, evidence.start["counts"])
    yield from equal("segments: entry", _plain(counted), _plain(entry.segments))
    yield from equal("segments: end event", _plain(counted), evidence.end["segments"])
    for segment in entry.segments:
        if not 0 < segment.first_layer_macs <= segment.forward_macs:
            yield Failure("segments: first layer", "over 0 and at most F", segment.first_layer_macs)


def compute(evidence: Evidence) -> Iterator[Finding]:
    """Compute in every currency is the sum over segments; the log's progress is the same sum."""
    entry, plan = evidence.entry, plan_of(evidence)
    yield from compute_of_segments(evidence)
    progress = evidence.events("progress")
    macs = plan.threefold_macs([0, *(e["steps"] for e in progress)], evidence.start["counts"])
    for event, so_far in zip(progress, macs[1:], strict=True):
        name = f"compute: progress at step {event['steps']}"
        yield from close(name, so_far / TERAFLOPS_DAY, event["paper3x_tfs_days"])
    passed = sum(segment.images for segment in entry.segments)
    yield from equal("compute: images of the segments", entry.images, passed)


def compute_of_segments(evidence: Evidence) -> Iterator[Finding]:
    """paper3x = sum images 3 F passes / 8.64e16; exact = sum images passes 2 (F + B)."""
    entry = evidence.entry
    threefold = sum(3 * s.images * s.passes * s.forward_macs for s in entry.segments)
    both = sum(2 * s.images * s.passes * (s.forward_macs + s.backward_macs) for s in entry.segments)
    yield from close("compute: paper3x", threefold / TERAFLOPS_DAY, entry.paper3x_tfs_days)
    yield from close("compute: exact", float(both), entry.exact_flops)
    mean = threefold / (3 * entry.images) if entry.images else 0.0
    yield from close("compute: forward_macs", mean, entry.forward_macs)


def evaluations(evidence: Evidence) -> Iterator[Finding]:
    """The entry's evaluations are the log's; each counted every validation image once."""
    entry, logged = evidence.entry, evidence.events("evaluation")
    try:
        read = [Evaluation(**_without(event, "event", "time_utc", "chain")) for event in logged]
    except ValidationError as error:
        yield Failure("evaluations: log", "whole evaluations", str(error).splitlines()[0])
        return
    yield from equal("evaluations: number", len(read), len(entry.evaluations))
    for ours, theirs in zip(read, entry.evaluations, strict=False):
        yield from equal(f"evaluations: step {ours.steps}", _plain([ours]), _plain([theirs]))
    asked, size = entry.config["data"]["val_images"], evidence.start["val_images"]
    if asked is not None:
        yield from equal("sample count: val_images", asked, size)
    for evaluation in read:
        at = f"step {evaluation.steps}"
        yield from equal(f"sample count: {at}", size, evaluation.val_images)
        yield from whole_images(at, evaluation)


def whole_images(at: str, evaluation: Evaluation) -> Iterator[Finding]:
    """An accuracy is a whole number of right images over all; top-5 is no lower than top-1."""
    for name in ("top1", "top5"):
        accuracy = getattr(evaluation, name)
        if accuracy is None:
            continue
        right = accuracy * evaluation.val_images
        if abs(right - round(right)) > IMAGE_ROUNDING:
            yield Failure(f"sample count: {name} at {at}", "a whole number of images", right)
    if evaluation.top5 is not None and evaluation.top5 < evaluation.top1:
        yield Failure(f"sample count: top5 at {at}", f">= {evaluation.top1}", evaluation.top5)


def cadence(evidence: Evidence) -> Iterator[Finding]:
    """The validation set was looked at when the configuration says, and at no other step."""
    entry, target = evidence.entry, _aimed_at(evidence)
    accuracies = [e.accuracy(entry.target.metric) for e in entry.evaluations]
    due = list(plan_of(evidence).evaluated_steps(target, accuracies, entry.steps or 0))
    done = [e.steps for e in entry.evaluations]
    # a fault between a step and its evaluation leaves the last one out
    allowed = [due, due[:-1]] if entry.end_reason in FAULTS else [due]
    if done not in allowed:
        yield Failure("cadence", due, done)


def stop(evidence: Evidence) -> Iterator[Finding]:
    """The run ended where the stop rule, the schedule or a fault ended it, and not later."""
    entry, end, target = evidence.entry, evidence.end, _aimed_at(evidence)
    over = entry.steps == plan_of(evidence).total_steps
    yield from equal("stop: schedule_over", over, end["schedule_over"])
    yield from equal("stop: reason", end["reason"], entry.end_reason)
    yield from equal("stop: detail", end["detail"], entry.end_detail)
    yield from equal("stop: weights_digest", end["weights_digest"], entry.weights_digest)
    if entry.end_reason in FAULTS:
        return
    accuracies = [e.accuracy(entry.target.metric) for e in entry.evaluations]
    confirmed = [
        count
        for count in range(1, len(accuracies) + 1)
        if target is not None
        and sustained_index(target, accuracies[:count], over and count == len(accuracies))
        is not None
    ]
    expected = "target" if confirmed else "schedule"
    yield from equal("stop: by the rule", expected, entry.end_reason)
    if confirmed and confirmed[0] != len(accuracies):
        step = entry.evaluations[confirmed[0] - 1].steps
        yield Failure("stop: step", step, entry.steps)
    if expected == "schedule" and not over:
        yield Failure("stop: step", plan_of(evidence).total_steps, entry.steps)


def crossings(evidence: Evidence) -> Iterator[Finding]:
    """First and sustained crossing, whether it arrived, and the compute until then."""
    entry, target = evidence.entry, evidence.entry.target
    train_images = evidence.start["train_images"]
    points = [(e.images, e.accuracy(target.metric), e.val_images) for e in entry.evaluations]
    accuracies = [accuracy for _, accuracy, _ in points]
    over = evidence.end["schedule_over"] and entry.end_reason not in FAULTS
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
    arrived = over if own else found["sustained"] is not None and entry.end_reason not in FAULTS
    yield from equal("crossing: reached", arrived, entry.reached)
    charged: Sequence[Segment] | None = None
    if arrived:
        until = entry.images if own else entry.sustained_crossing_images
        charged = segments_until(entry.segments, until or 0)
    for name, sum_up in (
        ("paper3x_to_target_tfs_days", paper3x_tfs_days),
        ("exact_flops_to_target", exact_flops),
    ):
        compute = None if charged is None else sum_up(charged)
        yield from close(f"crossing: {name}", compute, getattr(entry, name))


def targets(evidence: Evidence) -> Iterator[Finding]:
    """The level is the setting's, the baseline runs' mean, or the run's own last accuracy."""
    entry, target, asked = evidence.entry, evidence.entry.target, evidence.entry.config["target"]
    yield from equal("target: confirmations", asked["confirmations"], target.confirmations)
    yield from equal("target: comparison", asked["comparison"], target.comparison)
    if asked["metric"] is not None:
        yield from equal("target: metric", asked["metric"], target.metric)
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


def clocks(evidence: Evidence) -> Iterator[Finding]:
    """Training seconds never go back; evaluation and set-up have their own account."""
    entry, written = evidence.entry, evidence.entry.clocks
    if written is None:
        yield Failure("clocks", "training, evaluation and set-up seconds", None)
        return
    seconds = [event["train_seconds"] for event in _counted(evidence)]
    if seconds != sorted(seconds):
        yield Failure("clocks: order", "train_seconds never less than before", seconds)
    yield from equal("clocks: train", evidence.end["train_seconds"], written.train_seconds)
    evaluating = evidence.end["evaluation_seconds"]
    yield from equal("clocks: evaluation", evaluating, written.evaluation_seconds)
    yield from equal("clocks: setup", evidence.start["setup_seconds"], written.setup_seconds)
    total = math.fsum(e.evaluation_seconds or 0.0 for e in entry.evaluations)
    # differences of one clock, summed: each may round in the last place
    if not math.isclose(total, evaluating, rel_tol=1e-9, abs_tol=1e-6):
        yield Failure("clocks: sum of the evaluations", total, evaluating)


def _baseline(evidence: Evidence) -> Iterator[Finding]:
    target, known = evidence.entry.target, {e.run_id: e for e in evidence.ledger}
    missing = [run_id for run_id in target.baseline_run_ids if run_id not in known]
    if missing or not target.baseline_run_ids:
        yield Skipped("target", f"baseline runs not in this ledger: {', '.join(missing) or 'none'}")
        return
    runs = [known[run_id] for run_id in target.baseline_run_ids]
    finals = [run.evaluations[-1].accuracy(target.metric) for run in runs if run.evaluations]
    yield from close("target: mean of the baseline", math.fsum(finals) / len(runs), target.value)
    yield from equal("target: tolerance", 0.0, target.tolerance)
    for run in runs:
        yield from equal(
            f"target: data of {run.run_id}", run.data_digest, evidence.entry.data_digest
        )
        yield from equal(f"target: {run.run_id}", "own_schedule", run.target.source)


def _aimed_at(evidence: Evidence) -> Target | None:
    target = evidence.entry.target
    return None if target.source == "own_schedule" else target


def _counted(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Events that say how far the run had come, in the log's order."""
    kinds = ("progress", "evaluation", "end")
    events = evidence.read.events if evidence.read else ()
    return [event for event in events if event["event"] in kinds]


def _plain(records: Sequence[Segment] | Sequence[Evaluation]) -> list[dict[str, Any]]:
    return [record.model_dump(mode="json") for record in records]


def _without(event: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in names}
