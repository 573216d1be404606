"""Fits in seconds, joules and dollars: against regressions worked out by hand."""

import math

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.currencies import cost_to_target, seconds_at
from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import halving_time
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.ledger.reference import published_entries
from efficiency_bench.records import Clocks, Cost, Provenance
from tests.ledger.factory import make_baseline, make_entry, make_evaluation, make_target

POINTS = ((2000, 0.5, 10.0), (4000, 0.8, 50.0), (6000, 0.95, 60.0))
"""Images, accuracy, seconds on the training clock: it went unevenly."""


def timed(run_id="r", *, seconds=1.0, joules=600.0, price=36.0, card="H100", notes=(), **overrides):
    """A run over POINTS, its clock ``seconds`` times as slow, that crossed after 5000 images."""
    evaluations = tuple(
        make_evaluation(images, accuracy, train_seconds=at * seconds)
        for images, accuracy, at in POINTS
    )
    clock = Clocks(train_seconds=80.0 * seconds, evaluation_seconds=3.0, setup_seconds=9.0)
    cost = Cost(
        peak_flops_per_second=1e12,
        peak_method="torch.mm",
        energy_joules=joules,
        evaluation_energy_joules=None if joules is None else 9.0,
        repeated_energy_joules=None if joules is None else 0.0,
        energy_source="NVML" if joules is not None else "unknown: no counter",
        price_usd_per_hour=price,
        notes=notes,
    )
    machine = {"device": "cuda", "card": card, "processes": 1}
    facts = {"commit": None, "dirty": None, "code_digest": "c", "versions": {}}
    fields = {
        "crossing_images": 5000.0,
        "evaluations": evaluations,
        "clocks": clock,
        "cost": cost,
        "provenance": Provenance(**facts, hardware=machine),
    }
    return make_entry(run_id, **{**fields, **overrides})


def history(**overrides):
    """Three networks, 24 months apart to the day count, on clocks 8, 4 and 1 times as slow."""
    dates = ("2012-01-01", "2014-01-01", "2016-01-01")
    return [
        timed(f"m{i}", seconds=slow, model=f"m{i}", date=date, **overrides)
        for i, (date, slow) in enumerate(zip(dates, (8.0, 4.0, 1.0), strict=True))
    ]


def test_time_is_interpolated_between_evaluations():
    entry = timed()
    assert seconds_at(entry, 1000.0) == pytest.approx(5.0)
    assert seconds_at(entry, 3500.0) == pytest.approx(40.0)
    assert seconds_at(entry, 4000.0) == pytest.approx(50.0)
    assert seconds_at(entry, 5000.0) == pytest.approx(55.0)


def test_energy_and_dollars_follow_the_share_of_the_training_seconds():
    entry = timed()
    assert cost_to_target(entry, "sustained", "seconds") == pytest.approx(55.0)
    # 55 of 80 s: of 600 J, and of 36 dollars an hour for 80 s
    assert cost_to_target(entry, "sustained", "energy") == pytest.approx(412.5)
    assert cost_to_target(entry, "sustained", "dollars") == pytest.approx(0.55)


def test_the_first_crossing_and_a_missed_one():
    early = timed(first_crossing_images=3000.0)
    assert cost_to_target(early, "first", "seconds") == pytest.approx(30.0)
    missed = timed(crossing_images=None)
    assert cost_to_target(missed, "sustained", "seconds") is None


def test_the_baseline_pays_for_its_whole_schedule():
    clocks = Clocks(train_seconds=70.0, evaluation_seconds=3.0, setup_seconds=9.0)
    assert cost_to_target(make_baseline("a", clocks=clocks), "sustained", "seconds") == 70.0


@pytest.mark.parametrize("currency", ["seconds", "dollars"])
def test_a_fit_is_the_regression_of_its_currency(currency):
    """log2 falls by 1 and by 2 over (nearly) equal stretches: the slope is -3 over both."""
    result = halving_time(fit_rows(history(), Selection(), currency=currency))
    assert result.currency == {"seconds": "train_seconds", "dollars": "dollars"}[currency]
    days = [row["date"] for row in result.rows]
    assert days == ["2012-01-01", "2014-01-01", "2016-01-01"]
    x = [0.0, 731 / DAYS_PER_MONTH, 1461 / DAYS_PER_MONTH]
    y = [3.0, 2.0, 0.0]
    mean_x, mean_y = sum(x) / 3, sum(y) / 3
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum(
        (a - mean_x) ** 2 for a in x
    )
    assert result.halving_months == pytest.approx(-1 / slope)
    assert result.reduction_factor == pytest.approx(8.0)


def test_energy_has_a_fit_of_its_own():
    entries = history()
    for at, joules in enumerate((400.0, 200.0, 100.0)):
        cost = entries[at].cost.model_copy(update={"energy_joules": joules})
        entries[at] = entries[at].model_copy(update={"cost": cost})
    result = halving_time(fit_rows(entries, Selection(), currency="energy"))
    computes = [row["compute"] for row in result.rows]
    assert computes == pytest.approx([275.0, 137.5, 68.75])
    assert math.log2(result.reduction_factor) == pytest.approx(2.0)


def test_the_fit_of_compute_ignores_clocks():
    plain = [entry.model_copy(update={"cost": None, "clocks": None}) for entry in history()]
    ours, theirs = (halving_time(fit_rows(rows, Selection())) for rows in (history(), plain))
    assert ours == theirs


def test_rows_without_the_currency_are_named_and_left_out():
    more = [
        timed("none", joules=None, model="none", date="2017-01-01"),
        timed("traced", notes=("profiled",), model="traced", date="2018-01-01"),
        timed("old", cost=None, model="old", date="2019-01-01"),
    ]
    row_set = fit_rows([*history(), *more], Selection(), currency="energy")
    assert [row.model for row in row_set.rows] == ["m0", "m1", "m2"]
    for words in ("no counter): none", "(profiled): traced", "before costs were recorded): old"):
        assert any(words in note for note in row_set.notes)
    seconds = fit_rows([*history(), *more], Selection(), currency="seconds")
    assert {row.model for row in seconds.rows} == {"m0", "m1", "m2", "none", "old"}


def test_too_few_rows_say_what_to_type():
    with pytest.raises(UserError, match="price_usd_per_hour=N"):
        halving_time(fit_rows(history(price=None), Selection(), currency="dollars"))
    with pytest.raises(UserError, match="published rows have only compute"):
        halving_time(fit_rows(published_entries(), Selection(), currency="seconds"))


def test_two_kinds_of_machine_need_a_choice():
    other = [timed(f"a{i}", card="A100", model=f"a{i}") for i in range(2)]
    entries = [*history(), *other]
    with pytest.raises(UserError, match=r"--hardware 'cuda A100 x 1'  \(2 runs\)"):
        fit_rows(entries, Selection(), currency="seconds")
    row_set = fit_rows(entries, Selection(), currency="seconds", hardware="h100")
    assert [row.model for row in row_set.rows] == ["m0", "m1", "m2"]
    assert any("other machines, left out: a0, a1" in note for note in row_set.notes)
    with pytest.raises(UserError, match="no machine 'V100'"):
        fit_rows(entries, Selection(), currency="seconds", hardware="V100")
    assert len(fit_rows(entries, Selection()).rows) == 5, "compute knows no machine"


def test_the_target_of_a_fit_in_seconds_is_that_of_its_runs():
    strict = make_target(tolerance=0.0)
    assert fit_rows(history(target=strict), Selection(), currency="seconds").target == strict
