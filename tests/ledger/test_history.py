"""What a resume rolls back, against a direct implementation of the definition."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.ledger.history import (
    COUNTING_KINDS,
    RepeatedWork,
    effective_events,
    reached,
    repeated_work_by_resume,
    repeated_work_of,
    repeated_work_total,
)


def at(kind, steps, **more):
    account = {"images": 8 * steps, "train_seconds": steps / 2, "paper3x_tfs_days": steps / 4}
    return {"event": kind, "steps": steps, **account, **more}


def evaluation(steps):
    event = at("evaluation", steps)
    del event["paper3x_tfs_days"]
    return event


def plainly(events):
    kept = []
    for event in events:
        if event["event"] == "resume":
            kept = [
                e for e in kept if e["event"] not in COUNTING_KINDS or e["steps"] <= event["steps"]
            ]
        kept.append(event)
    return kept


@st.composite
def logs(draw, at_least=0):
    """Logs as runs write them: steps increase, and a resume goes back to an earlier step.

    ``at_least`` is the least progress of an attempt.
    """
    events, steps = [{"event": "start"}], 0
    for back in draw(st.lists(st.integers(0, 5), max_size=6)):
        for _ in range(draw(st.integers(at_least, 5))):
            steps += draw(st.integers(1, 3))
            events.append(at("progress", steps))
            events.extend([evaluation(steps)] * draw(st.integers(0, 1)))
        events.extend([{"event": "checkpoint_failed", "steps": steps}] * draw(st.integers(0, 1)))
        steps = max(0, steps - back)
        events.append(at("resume", steps))
    return events


@given(logs())
def test_useful_events_are_those_that_no_later_resume_rolled_back(events):
    assert effective_events(events) == plainly(events)


@given(logs())
def test_each_resume_rolls_back_the_work_beyond_its_step(events):
    found = list(repeated_work_by_resume(events))
    assert [event for _, event, _ in found] == [e for e in events if e["event"] == "resume"]
    for place, event, lost in found:
        gone = [
            e["steps"]
            for e in plainly(events[:place])
            if e["event"] in COUNTING_KINDS and e["steps"] > event["steps"]
        ]
        steps = max(gone) - event["steps"] if gone else 0
        assert lost == RepeatedWork(8 * steps, steps / 2, steps / 4)
        assert lost == repeated_work_of(events[:place], event)


def whole(events):
    """Return the log with the lost work recorded in each resume, as runs write it."""
    written = []
    for event in events:
        if event["event"] == "resume":
            event = event | {"lost": asdict(repeated_work_of(written, event))}
        written.append(event)
    return written


def steps_done(events):
    """Return the steps done by all attempts of a log, with repeats."""
    done, at_step = 0, 0
    for event in events:
        if event["event"] == "progress":
            done += event["steps"] - at_step
        at_step = event.get("steps", at_step)
    return done


@given(logs(at_least=1), st.integers(0, 60), st.integers(0, 40))
def test_work_in_a_damaged_part_of_a_log_counts_as_repeated(events, cut, back):
    """Cut anywhere before the last event; the run resumes where the sound part allows."""
    events = whole([*events, at("progress", events[-1].get("steps", 0) + 1)])
    cut = min(cut, len(events) - 1)
    sound, damaged = events[:cut], events[cut:]
    counting = [e["steps"] for e in effective_events(sound) if e["event"] == "progress"]
    last = sound[-1] if sound and sound[-1]["event"] == "resume" else None
    step = last["steps"] if last else max(0, (counting or [0])[-1] - back)
    sound = [*sound, {"event": "repair", "torn": "", "reached": reached(damaged)}]
    lost, again = repeated_work_of(sound, at("resume", step)), repeated_work_total(sound)
    assert again.images + lost.images + 8 * step == 8 * steps_done(events)
    assert again.seconds + lost.seconds + step / 2 == steps_done(events) / 2


def test_omitted_progress_before_the_checkpoint_does_not_count_as_lost():
    """The log goes from 20 to 100; the checkpoint was saved after 80 steps."""
    lost = repeated_work_of([at("progress", 20), at("progress", 100)], at("resume", 80))
    assert lost == RepeatedWork(8 * 20, 10.0, 5.0)


def test_a_resume_of_an_older_log_is_compared_with_the_event_before_it():
    older = {"event": "resume", "steps": 80, "lost": {}}
    assert repeated_work_of([at("progress", 80), at("progress", 100)], older) == RepeatedWork(
        160, 10, 5
    )


def test_work_known_only_from_an_interrupted_event_has_no_lost_compute():
    gone = {"event": "interrupted", "steps": 45, "images": 360, "train_seconds": 22.5}
    lost = repeated_work_of([at("progress", 40), gone], at("resume", 40))
    assert lost == RepeatedWork(40, 2.5, 0.0)
