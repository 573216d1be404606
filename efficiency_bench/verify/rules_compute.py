"""Rules about the numbers of a run: steps, images, segments, compute, evaluations, clocks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from efficiency_bench.ledger.entry import cost_of
from efficiency_bench.ledger.events import without_own_fields
from efficiency_bench.ledger.history import (
    COUNTING_KINDS,
    RepeatedWork,
    repeated_work_by_resume,
    repeated_work_total,
)
from efficiency_bench.records import TERAFLOPS_DAY, Evaluation, Segment
from efficiency_bench.verify.evidence import Evidence
from efficiency_bench.verify.findings import Failure, Finding, Remark, close, equal
from efficiency_bench.verify.recount import plan_of

IMAGE_ROUNDING = 1e-6
"""How far accuracy times images may be from an integer, in images."""


def steps_and_images(evidence: Evidence) -> Iterator[Finding]:
    """Check every count of the log and the entry against its number of steps."""
    plan, entry = plan_of(evidence), evidence.entry
    yield from equal("schedule: total_steps", plan.total_steps, evidence.start["total_steps"])
    yield from equal(
        "schedule: epochs", entry.config["recipe"]["epochs"], evidence.start["total_epochs"]
    )
    asked = entry.config["data"]["train_images"]
    inner = entry.config["data"].get("inner_split", 0.0)
    if asked is not None:
        left = asked - round(inner * asked)
        yield from equal("schedule: train_images", left, plan.train_images)
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
    """Check the segments of the entry and the log against the schedule."""
    entry, plan = evidence.entry, plan_of(evidence)
    counted = plan.segments(entry.steps or 0, evidence.start["counts"])
    yield from equal("segments: entry", _plain(counted), _plain(entry.segments))
    yield from equal("segments: end event", _plain(counted), evidence.end["segments"])
    sides = [int(side) for side in evidence.start["counts"]]
    kept = evidence.start.get("counts_from_cache", [])  # logs from before 0.3 do not say
    yield from equal("segments: kept counts", [s for s in sides if s in kept], kept)
    for side, count in evidence.start["counts"].items():
        total = sum(count.get("by_operator", {"all": count["forward_macs"]}).values())
        yield from equal(f"segments: operators at {side} px", count["forward_macs"], total)
    for segment in entry.segments:
        if not 0 < segment.first_layer_macs <= segment.forward_macs:
            yield Failure("segments: first layer", "over 0 and at most F", segment.first_layer_macs)


def compute(evidence: Evidence) -> Iterator[Finding]:
    """Check that compute is the sum over segments, in the entry and in the log's progress."""
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
    """Check paper3x = sum images 3 F passes / 8.64e16 and exact = sum images passes 2 (F + B)."""
    entry = evidence.entry
    threefold = sum(3 * s.images * s.passes * s.forward_macs for s in entry.segments)
    both = sum(2 * s.images * s.passes * (s.forward_macs + s.backward_macs) for s in entry.segments)
    yield from close("compute: paper3x", threefold / TERAFLOPS_DAY, entry.paper3x_tfs_days)
    yield from close("compute: exact", float(both), entry.exact_flops)
    mean = threefold / (3 * entry.images) if entry.images else 0.0
    yield from close("compute: forward_macs", mean, entry.forward_macs)


def evaluations(evidence: Evidence) -> Iterator[Finding]:
    """Check that the entry's evaluations are the log's, and that each counts every image once."""
    entry, logged = evidence.entry, evidence.events("evaluation")
    try:
        read = [Evaluation(**without_own_fields(event)) for event in logged]
    except ValidationError as error:
        yield Failure("evaluations: log", "whole evaluations", str(error).splitlines()[0])
        return
    yield from equal("evaluations: number", len(read), len(entry.evaluations))
    for ours, theirs in zip(read, entry.evaluations, strict=False):
        yield from equal(f"evaluations: step {ours.steps}", _plain([ours]), _plain([theirs]))
    asked, size = entry.config["data"]["val_images"], evidence.start["val_images"]
    if inner := entry.config["data"].get("inner_split", 0.0):
        asked = round(inner * (evidence.start["train_images"] + size))
    if asked is not None:
        yield from equal("sample count: val_images", asked, size)
    for evaluation in read:
        at = f"step {evaluation.steps}"
        yield from equal(f"sample count: {at}", size, evaluation.val_images)
        yield from whole_images(at, evaluation)


def whole_images(at: str, evaluation: Evaluation) -> Iterator[Finding]:
    """Check that an accuracy is a whole number of images over all, and that top-5 >= top-1."""
    for name in ("top1", "top5"):
        accuracy = getattr(evaluation, name)
        if accuracy is None:
            continue
        right = accuracy * evaluation.val_images
        if abs(right - round(right)) > IMAGE_ROUNDING:
            yield Failure(f"sample count: {name} at {at}", "a whole number of images", right)
    if evaluation.top5 is not None and evaluation.top5 < evaluation.top1:
        yield Failure(f"sample count: top5 at {at}", f">= {evaluation.top1}", evaluation.top5)


def clocks(evidence: Evidence) -> Iterator[Finding]:
    """Check that training seconds never decrease, and the evaluation and setup clocks."""
    entry, written = evidence.entry, evidence.entry.clocks
    if written is None:
        yield Failure("clocks", "training, evaluation and set-up seconds", None)
        return
    for events in (_counted(evidence), _clock_events(evidence)):
        seconds = [event["train_seconds"] for event in events]
        if seconds != sorted(seconds):
            yield Failure("clocks: order", "train_seconds never less than before", seconds)
    yield from equal("clocks: train", evidence.end["train_seconds"], written.train_seconds)
    evaluating = evidence.end["evaluation_seconds"]
    yield from equal("clocks: evaluation", evaluating, written.evaluation_seconds)
    yield from equal("clocks: setup", evidence.start["setup_seconds"], written.setup_seconds)
    total = math.fsum(e.evaluation_seconds or 0.0 for e in entry.evaluations)
    # sums of clock differences: each may be rounded in the last place
    if not math.isclose(total, evaluating, rel_tol=1e-9, abs_tol=1e-6):
        yield Failure("clocks: sum of the evaluations", total, evaluating)


def repeats(evidence: Evidence) -> Iterator[Finding]:
    """Check that the repeated work is what the log shows beyond the step of each resume."""
    log, entry = (evidence.read.events if evidence.read else ()), evidence.entry
    plan = plan_of(evidence)
    resumptions = list(repeated_work_by_resume(log))
    steps = [0, *(event["steps"] for _, event, _ in resumptions)]
    macs = plan.threefold_macs(steps, evidence.start["counts"])[1:]
    for (at, event, lost), so_far in zip(resumptions, macs, strict=True):
        name = f"resume at event {at + 1}"
        yield from equal(f"repeats: {name}", asdict(lost), event["lost"])
        yield from equal(f"images: {name}", plan.images(event["steps"]), event["images"])
        if "paper3x_tfs_days" in event:  # older logs lack this field
            yield from close(f"compute: {name}", so_far / TERAFLOPS_DAY, event["paper3x_tfs_days"])
    written = RepeatedWork(
        entry.repeated_images, entry.repeated_seconds, entry.repeated_paper3x_tfs_days
    )
    yield from equal("repeats: entry", asdict(repeated_work_total(log)), asdict(written))


def _clock_events(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return the events that carry the training clock across resumes, without rolled-back ones.

    An ``interrupted`` event is left out: it reads the clock after the checkpoint was saved, so the
    resumed run starts from an earlier reading.
    """
    standing: list[Mapping[str, Any]] = []
    for event in evidence.effective_events:
        if event["event"] == "resume":
            while standing and standing[-1]["steps"] > event["steps"]:
                standing.pop()
        if event["event"] != "interrupted" and "train_seconds" in event:
            standing.append(event)
    return standing


def _counted(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return the events that say how far the run had come, in log order."""
    return [event for event in evidence.effective_events if event["event"] in COUNTING_KINDS]


def _plain(records: Sequence[Segment] | Sequence[Evaluation]) -> list[dict[str, Any]]:
    return [record.model_dump(mode="json") for record in records]


def cost(evidence: Evidence) -> Iterator[Finding]:
    """Check every part of the cost against the log; measured rates and energies are taken as is."""
    log = evidence.read.events if evidence.read else ()
    expected, written = cost_of(log), evidence.entry.cost
    if expected is None or written is None:
        yield from equal("cost", expected, written)
        return
    for name in type(expected).model_fields:
        yield from equal(f"cost: {name}", getattr(expected, name), getattr(written, name))
    yield from (Remark("cost", text) for text in written.notes)


def energy(evidence: Evidence) -> Iterator[Finding]:
    """Check that energy never decreases, except at a resume, which counts the rest as lost."""
    log, so_far = (evidence.read.events if evidence.read else ()), 0.0
    for at, event in enumerate(log):
        account = event.get("cost", {}) if event["event"] == "resume" else event
        now = account.get("energy_joules")
        if now is None:
            continue
        if event["event"] == "resume":
            lost = max(0.0, so_far - now)
            name = f"energy: lost by the resume at event {at + 1}"
            yield from close(name, lost, account["lost_energy_joules"])
        elif now < so_far:
            yield Failure(f"energy: event {at + 1}", f"at least {so_far}", now)
        so_far = now
