"""From entries to the rows of one fit: groups, seeds, baselines, censored runs."""

from datetime import date, timedelta

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import halving_time
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.fitting.sensitivity.curves import rows_at, runs_with_curves
from efficiency_bench.ledger.reference import published_entries
from tests.fitting.curve_factory import run_with_curve, sigmoid, straight
from tests.ledger.factory import (
    make_baseline,
    make_entry,
    make_target,
)

AT_90 = make_target(source="baseline", baseline_run_ids=("a0", "a1"))


def row_of(row_set, model):
    (row,) = [row for row in row_set.rows if row.model == model]
    return row


def run(run_id, **overrides):
    return make_entry(run_id, **{"target": AT_90, **overrides})


def test_seeds_enter_as_their_geometric_mean():
    entries = [run("r0", crossing_images=1000.0), run("r1", seed=1, crossing_images=4000.0)]
    row = row_of(fit_rows(entries, Selection()), "resnet18")
    # 1 MMAC: 3e6 * images operations; the geometric mean of 1000 and 4000 is 2000
    assert row.compute == pytest.approx(3e6 * 2000 / 8.64e16, rel=1e-12)
    assert row.compute_low == pytest.approx(3e6 * 1000 / 8.64e16)
    assert row.compute_high == pytest.approx(3e6 * 4000 / 8.64e16)
    assert (row.seeds, row.reached_seeds, row.epochs_to_target) == (2, 2, 2.5)
    assert row.run_ids == ("r0", "r1")


def test_exact_currency_counts_forward_and_backward():
    row = row_of(fit_rows([run("r")], Selection(), currency="exact"), "resnet18")
    # F = 1e6, B = 2F - F1 = 1.9e6: 2 (F + B) = 5.8e6 an image
    assert row.compute == pytest.approx(5.8e6 * 4000)


def test_first_crossing_charges_the_segments_up_to_it():
    entry = run("r", first_crossing_images=2500.0, first_crossing_epochs=2.5)
    for crossing, images in (("sustained", 4000), ("first", 2500)):
        row = row_of(fit_rows([entry], Selection(), crossing=crossing), "resnet18")
        assert row.compute == pytest.approx(3e6 * images / 8.64e16)
        assert row.epochs_to_target == images / 1000


def test_a_run_that_only_touched_the_target_reached_it_first_but_not_sustained():
    entry = run("r", crossing_images=None, first_crossing_images=2000.0, first_crossing_epochs=2.0)
    assert not row_of(fit_rows([entry], Selection()), "resnet18").reached
    assert row_of(fit_rows([entry], Selection(), crossing="first"), "resnet18").reached


def test_the_baseline_joins_its_target_and_pays_its_whole_schedule():
    entries = [make_baseline("a0", 0.9), make_baseline("a1", 0.91, seed=1), run("r")]
    row_set = fit_rows(entries, Selection())
    row = row_of(row_set, "alexnet")
    assert row.is_baseline
    assert row.seeds == row.reached_seeds == 2
    assert row.compute == pytest.approx(3e6 * 5000 / 8.64e16)
    assert row.epochs_to_target == 5.0
    assert row_set.group.target_value == 0.9
    assert row_set.notes == ()


def test_a_baseline_of_another_level_is_left_out_and_reported():
    entries = [make_baseline("a0"), make_baseline("a1"), make_baseline("a2"), run("r")]
    row_set = fit_rows(entries, Selection())
    assert row_of(row_set, "alexnet").run_ids == ("a0", "a1")
    assert row_set.notes == ("baseline run a2 is not part of this target: left out",)


def test_a_baseline_seed_that_diverged_is_a_censored_seed():
    diverged = make_baseline("a2", 0.1, end_reason="diverged")
    entries = [make_baseline("a0"), make_baseline("a1"), diverged, run("r")]
    row_set = fit_rows(entries, Selection())
    row = row_of(row_set, "alexnet")
    assert (row.seeds, row.reached_seeds) == (3, 2)
    assert any("alexnet small_alexnet: 2 of 3 seeds" in note for note in row_set.notes)


def test_a_missing_baseline_is_reported():
    notes = fit_rows([make_baseline("a0"), run("r")], Selection()).notes
    assert notes == ("baseline runs named by the target are not in the ledger: a1",)


def test_a_row_that_missed_the_target_is_kept_and_reported():
    row_set = fit_rows([run("r", crossing_images=None)], Selection())
    (row,) = row_set.rows
    assert (row.reached, row.compute, row.reached_seeds, row.seeds) == (False, None, 0, 1)
    assert row.compute_spent == pytest.approx(3e6 * 5000 / 8.64e16)
    assert row_set.notes[-1].startswith("never reached the target")
    assert row_set.notes[-1].endswith(": resnet18 small_plain")


def test_a_row_without_a_date_is_kept_and_reported():
    row_set = fit_rows([run("r", date=None)], Selection())
    assert len(row_set.rows) == 1
    assert "resnet18 small_plain has no date" in row_set.notes[-1]


def test_the_same_model_with_another_recipe_is_another_row():
    row_set = fit_rows([run("r"), run("s", recipe="small_modern")], Selection())
    assert [row.recipe for row in row_set.rows] == ["small_modern", "small_plain"]


def test_rows_are_sorted_by_date():
    entries = [run("r"), run("v", model="vgg11", date="2014-09-04"), make_baseline("a0")]
    forward, backward = (fit_rows(e, Selection()) for e in (entries, entries[::-1]))
    assert [row.model for row in forward.rows] == ["alexnet", "vgg11", "resnet18"]
    assert forward.rows == backward.rows


OTHERS = {
    "data": {"data": "cifar10", "data_digest": "c" * 64},
    "target": {"target": make_target(value=0.6)},
    "tier": {"tier": "imported"},
}


@pytest.mark.parametrize("what", OTHERS)
def test_with_several_sets_the_error_says_how_to_choose(what):
    own, other = run("r"), run("other", **OTHERS[what])
    with pytest.raises(UserError, match="choose one") as error:
        fit_rows([own, other], Selection())
    _, *options = str(error.value).splitlines()
    assert sorted(options) == sorted(
        {
            "data": ["  --data digits  (1 runs)", "  --data cifar10  (1 runs)"],
            "target": ["  --target 0.9  (1 runs)", "  --target 0.6  (1 runs)"],
            "tier": ["  --tier measured  (1 runs)", "  --tier imported  (1 runs)"],
        }[what]
    )
    named = {
        "data": Selection(data="digits"),
        "target": Selection(target=0.9),
        "tier": Selection(tier="measured"),
    }[what]
    assert fit_rows([own, other], named).rows[0].run_ids == ("r",)


def test_data_is_named_by_name_or_digest():
    entries = [run("r"), run("s", data_digest="e" * 64)]
    with pytest.raises(UserError, match=r"\n  --data eeeeeeeeeeee --target 0\.9 "):
        fit_rows(entries, Selection(data="digits"))
    assert fit_rows(entries, Selection(data="eeee")).rows[0].run_ids == ("s",)


def test_a_target_is_found_as_it_is_printed():
    value = 0.9712962962962963
    entries = [run("r", target=make_target(value=value)), run("s")]
    with pytest.raises(UserError, match=r"--target 0\.971296 "):
        fit_rows(entries, Selection())
    assert fit_rows(entries, Selection(target=0.971296)).group.target_value == value


def test_an_unknown_choice_lists_the_available_ones():
    with pytest.raises(UserError, match=r"no run matches.*\n  --data dddddddddddd"):
        fit_rows([run("r")], Selection(data="imagenet"))


@pytest.mark.parametrize("entries", [[], [make_baseline("a0")]])
def test_nothing_to_fit_says_what_to_type(entries):
    with pytest.raises(UserError, match=r"at least 3 rows(.|\n)*efficiency-bench train"):
        fit_rows(entries, Selection())


def test_different_tolerances_are_reported():
    loose = make_target(tolerance=0.01)
    notes = fit_rows([make_entry("a"), make_entry("b", target=loose)], Selection()).notes
    assert notes == ("this fit mixes runs with different target tolerances: 0.0, 0.01",)


def test_published_and_measured_never_share_a_fit():
    ours = make_entry("r", data="imagenet", target=published_entries()[0].target)
    with pytest.raises(UserError, match="--tier published"):
        fit_rows([*published_entries(), ours], Selection())


def test_another_configuration_is_another_row_and_not_a_seed():
    entries = [
        make_entry(f"r{i}", seed=i, config_digest=digest, crossing_images=float(1000 * (i + 1)))
        for i, digest in enumerate(["a", "a", "b"])
    ]
    rows = fit_rows(entries, Selection()).rows
    assert sorted(row.seeds for row in rows) == [1, 2]


def test_rewording_or_another_machine_does_not_split_a_row():
    here = {"recipe": {"epochs": 4.0, "citation": "one"}, "device": "cpu", "experiment": "a"}
    there = {"recipe": {"epochs": 4.0, "citation": "two"}, "device": "cuda", "experiment": None}
    seeds = [
        run(f"r{i}", seed=i, config=c, config_digest=f"{i}") for i, c in enumerate((here, there))
    ]
    (row,) = fit_rows(seeds, Selection()).rows
    assert row.seeds == 2


def test_a_failed_seed_of_another_configuration_does_not_join_the_baseline():
    configs = [{"recipe": {"epochs": epochs}} for epochs in (5.0, 9.0)]
    own = [make_baseline(f"a{i}", seed=i, config=configs[0]) for i in range(2)]
    failed = make_baseline("a2", 0.1, seed=2, end_reason="failed", config=configs[1])
    row_set = fit_rows([*own, failed, run("r")], Selection())
    assert row_of(row_set, "alexnet").run_ids == ("a0", "a1")
    assert row_set.notes == ("baseline run a2 is not part of this target: left out",)


def test_a_row_that_some_seeds_missed_has_a_lower_bound():
    """1,000 images to the target, and a seed that spent 5,000 in vain: their mean is 2,236."""
    (row,) = fit_rows(
        [run("r0", crossing_images=1000.0), run("r1", seed=1, crossing_images=None)], Selection()
    ).rows
    assert row.arrived_in_part
    assert row.compute == pytest.approx(3e6 * 1000 / 8.64e16)
    assert row.compute_at_least == pytest.approx(3e6 * 5e6**0.5 / 8.64e16)
    (whole,) = fit_rows([run("r0", crossing_images=1000.0)], Selection()).rows
    assert (whole.arrived_in_part, whole.compute_at_least) == (False, whole.compute)
    (never,) = fit_rows([run("r0", crossing_images=None)], Selection()).rows
    assert (never.arrived_in_part, never.compute_at_least) == (False, never.compute_spent)


def test_at_another_accuracy_the_seed_that_misses_it_stands_at_what_it_spent():
    """logit(top-1) = -3 + images / 1e9: 90 % at 5.1972e9; the other seed stops at 80 %."""
    arrives = straight("s0", 1e9, model="net")
    points = [(n * 10**8, sigmoid(-3 + n / 10)) for n in range(1, 44)]
    misses = run_with_curve("s1", points, model="net", seed=1)
    row_set = fit_rows([arrives, misses], Selection())
    (row,) = rows_at(
        row_set.rows, runs_with_curves([arrives, misses]), make_target(), "sustained", "paper3x"
    ).rows
    assert (row.seeds, row.reached_seeds) == (2, 1)
    assert row.compute == pytest.approx(3e6 * 5.1972e9 / 8.64e16, rel=1e-4)
    assert row.compute_at_least == pytest.approx(
        3e6 * (5.1972e9 * 4.3e9) ** 0.5 / 8.64e16, rel=1e-4
    )


def test_until_leaves_out_later_rows_and_includes_the_day_itself():
    """2017-04-17 is MobileNet v1's day, the last of the published rows then."""
    everything = published_entries()
    day = date(2017, 4, 17)
    known = [entry for entry in everything if entry.date <= "2017-04-17"]
    until = halving_time(fit_rows(everything, Selection(until=day)))
    assert until.halving_months == halving_time(fit_rows(known, Selection())).halving_months
    assert "5 runs of rows published after 2017-04-17 are left out" in until.notes
    elsewhere = run("another-set", data="cifar10", data_digest="e" * 64, date="2030-01-01")
    one_set = Selection(until=day, data="imagenet")
    assert fit_rows([*everything, elsewhere], one_set).notes == fit_rows(everything, one_set).notes
    with pytest.raises(UserError, match=r"no row was published by 1990-01-01.*2012-06-01"):
        fit_rows(everything, Selection(until=date(1990, 1, 1)))
    before = fit_rows(everything, Selection(until=day - timedelta(days=1)))
    assert "mobilenet_v1" in {row.model for row in fit_rows(known, Selection()).rows}
    assert "mobilenet_v1" not in {row.model for row in before.rows}
