"""Shapley splits against brute force, closed forms, scipy, and the paper's table 1."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.sensitivity.curves import compute_at, runs_with_curves, target_at
from efficiency_bench.fitting.sensitivity.decomposition import (
    decompose,
    parse_corner,
    weighted_sum,
)
from efficiency_bench.fitting.sensitivity.epochs_and_images import epochs_and_images
from efficiency_bench.ledger.reference import published_entries
from tests.fitting.corners import CORNERS, NEW, OLD, ledger
from tests.fitting.curve_factory import START_LOGIT, logit, run_with_curve, straight
from tests.ledger.factory import make_baseline, make_entry, make_segment, make_target

ANY = Selection()


def split(log2_computes, **settings):
    return decompose(ledger(log2_computes), ANY, OLD, NEW, **settings)


def parts_of(result):
    return {part.name: part for part in result.parts}


means = st.floats(-30, 10)


@settings(deadline=None)
@given(m00=means, m10=means, m01=means, m11=means)
def test_the_parts_add_up_to_the_whole_and_are_the_mean_of_both_orders(m00, m10, m01, m11):
    result = split({(0, 0): [m00], (1, 0): [m10], (0, 1): [m01], (1, 1): [m11]})
    parts = parts_of(result)
    gains = {name: part.log2_gain for name, part in parts.items()}
    assert gains["architecture"] == pytest.approx(((m00 - m10) + (m01 - m11)) / 2, abs=1e-9)
    assert gains["recipe"] == pytest.approx(((m00 - m01) + (m10 - m11)) / 2, abs=1e-9)
    assert gains["whole gain"] == pytest.approx(m00 - m11, abs=1e-9)
    whole = gains["architecture"] + gains["recipe"]
    assert gains["whole gain"] == pytest.approx(whole, abs=1e-9)
    beyond = (m00 - m11) - (m00 - m10) - (m00 - m01)
    assert gains["interaction"] == pytest.approx(beyond, abs=1e-9)
    assert parts["recipe"].factor == pytest.approx(2 ** gains["recipe"])
    assert parts["recipe"].low_factor is None  # one seed a corner


@settings(deadline=None)
@given(m00=means, m10=means, m01=means, m11=means)
def test_the_two_factors_are_treated_alike(m00, m10, m01, m11):
    one = parts_of(split({(0, 0): [m00], (1, 0): [m10], (0, 1): [m01], (1, 1): [m11]}))
    two = parts_of(split({(0, 0): [m00], (1, 0): [m01], (0, 1): [m10], (1, 1): [m11]}))
    assert one["architecture"].log2_gain == pytest.approx(two["recipe"].log2_gain, abs=1e-9)
    assert one["interaction"].log2_gain == pytest.approx(two["interaction"].log2_gain, abs=1e-9)


def test_the_whole_gains_interval_is_scipys_welch_interval():
    old, new = [-20.0, -20.4, -19.7, -20.1], [-23.1, -22.2, -23.9]
    result = split({(0, 0): old, (1, 0): [-21, -21.1], (0, 1): [-22, -21.5], (1, 1): new})
    part = parts_of(result)["whole gain"]
    expected = stats.ttest_ind(old, new, equal_var=False).confidence_interval(0.95)
    assert part.low_log2_gain == pytest.approx(expected.low, rel=1e-9)
    assert part.high_log2_gain == pytest.approx(expected.high, rel=1e-9)
    assert part.low_factor == pytest.approx(2**expected.low)
    assert [cell.seeds for cell in result.cells] == [4, 2, 2, 3]


@pytest.mark.parametrize("scatter", [(1, 1, 1, 1), (0.2, 2, 1, 0.5)])
def test_the_intervals_of_three_seeds_cover(scatter):
    """2,000 draws: 95 % give or take four standard errors (0.5 points each), not less."""
    rng = np.random.default_rng(20200508)
    weights = {0: 0.5, 1: -0.5, 2: 0.5, 3: -0.5}
    truth = 0.5 * (5 - 3 + 4 - 1)
    inside = 0
    for draw in rng.normal(size=(2000, 4, 3)):
        samples = {i: list(m + scatter[i] * draw[i]) for i, m in enumerate((5, 3, 4, 1))}
        interval = weighted_sum(samples, weights)
        inside += interval.low <= truth <= interval.high
    assert 0.93 <= inside / 2000 <= 0.985


def test_seeds_without_any_scatter_leave_a_point():
    interval = weighted_sum({"a": [3.0, 3.0], "b": [1.0, 1.0]}, {"a": 1.0, "b": -1.0})
    assert (interval.value, interval.low, interval.high) == (2, 2, 2)


def test_a_single_seed_anywhere_it_counts_leaves_no_interval():
    samples = {"a": [3.0, 3.2], "b": [1.0]}
    assert weighted_sum(samples, {"a": 1.0, "b": -1.0}).low is None
    assert weighted_sum(samples, {"a": 1.0, "b": 0.0}).low is not None


def test_the_baseline_is_charged_its_schedule_and_it_is_said():
    baseline = make_baseline("a0", recipe="small_alexnet", segments=(make_segment(5000),))
    target = make_target(source="baseline", baseline_run_ids=("a0",))
    others = [
        make_entry(f"r{i}", model=c.model, recipe=c.recipe, target=target, crossing_images=1250.0)
        for i, c in enumerate([CORNERS[1, 0], CORNERS[0, 1], NEW])
    ]
    result = decompose([baseline, *others], ANY, OLD, NEW)
    assert parts_of(result)["whole gain"].log2_gain == pytest.approx(2)  # 5000 / 1250
    assert "alexnet,small_alexnet set the target and is charged its whole schedule" in result.notes


def test_currency_and_crossing_are_used():
    corners = ledger({key: [0.0] for key in CORNERS})
    new = corners[-1]
    dear = new.model_copy(update={"exact_flops_to_target": new.exact_flops_to_target / 8})
    result = decompose([*corners[:-1], dear], ANY, OLD, NEW, currency="exact")
    assert parts_of(result)["whole gain"].factor == pytest.approx(8)
    early = new.model_copy(update={"first_crossing_images": 2000.0})
    corners = [entry.model_copy(update={"first_crossing_images": 2500.0}) for entry in corners[:-1]]
    result = decompose([*corners, early], ANY, OLD, NEW, crossing="first")
    assert parts_of(result)["whole gain"].factor == pytest.approx(1.25)


def test_missing_corners_come_with_the_commands_that_measure_them():
    entries = ledger({(0, 0): [1.0], (1, 1): [0.0]})
    with pytest.raises(UserError) as error:
        decompose(entries, ANY, OLD, NEW)
    first, second = str(error.value).splitlines()
    assert first == "not measured: resnet18,small_alexnet, alexnet,small_smoothed"
    command = "efficiency-bench train model=resnet18 recipe=small_alexnet data=digits"
    assert f"{command} target.metric=top1 target.value=0.9;" in second
    assert "model=alexnet recipe=small_smoothed" in second


def test_the_command_leaves_a_baselines_target_to_the_ledger():
    target = make_target(source="baseline")
    entries = ledger({(0, 0): [1.0], (1, 1): [0.0]}, target=target)
    with pytest.raises(UserError) as error:
        decompose(entries, ANY, OLD, NEW)
    assert "target.value" not in str(error.value)


def test_a_corner_that_never_arrived_is_no_corner():
    entries = ledger({(0, 0): [1.0], (1, 0): [0.0], (1, 1): [0.0]})
    missed = make_entry("x", model="alexnet", recipe="small_smoothed", crossing_images=None)
    with pytest.raises(UserError, match=r"alexnet,small_smoothed never reached the target \(1 "):
        decompose([*entries, missed], ANY, OLD, NEW)


def test_some_seeds_that_missed_are_said():
    entries = ledger({key: [0.0, 0.0] for key in CORNERS})
    missed = make_entry(
        "x", model="resnet18", recipe="small_smoothed", seed=2, crossing_images=None
    )
    result = decompose([*entries, missed], ANY, OLD, NEW)
    assert "resnet18,small_smoothed: 2 of 3 seeds reached: only they count" in result.notes
    assert (result.cells[-1].reached_seeds, result.cells[-1].seeds) == (2, 3)


def test_two_configurations_of_a_corner_are_not_mixed():
    entries = ledger({key: [0.0] for key in CORNERS})
    other = entries[-1].model_copy(update={"run_id": "other", "config_digest": "c"})
    with pytest.raises(UserError, match=r"2 configurations: .*other"):
        decompose([*entries, other], ANY, OLD, NEW)


@pytest.mark.parametrize("new", [OLD, CORNERS[1, 0], CORNERS[0, 1]])
def test_a_split_needs_two_changes(new):
    with pytest.raises(UserError, match="both the network and the recipe must change"):
        decompose([], ANY, OLD, new)


def test_corners_are_read():
    assert parse_corner("alexnet, small_alexnet") == OLD
    for text in ("", "alexnet", "alexnet,", ",x", "a,b,c"):
        with pytest.raises(UserError, match=r"as MODEL,RECIPE\ngive both: decompose --from"):
            parse_corner(text)


TABLE_1 = {  # Hernandez & Brown 2020, table 1: epochs, FLOPs per image, training gain
    "alexnet": (1.0, 1.0, 1.0),
    "googlenet": (11, 0.38, 4.3),
    "mobilenet_v1": (8.2, 1.35, 11),
    "mobilenet_v2": (5.6, 2.33, 13),
    "shufflenet_v1": (3.8, 5.5, 21),
    "shufflenet_v2_x1_0": (4.5, 5.5, 25),
    "efficientnet_b0": (22, 2.0, 44),
}


def test_the_papers_own_split():
    """Its two printed digits, half a unit and the slack of factors rounded twice (2 %)."""
    rows = {row.model: row for row in epochs_and_images(published_entries(), ANY)}
    assert next(iter(rows)) == "alexnet"
    assert len(rows) == 16
    for model, (epochs, images, product) in TABLE_1.items():
        assert rows[model].epochs_factor == pytest.approx(epochs, rel=0.025), model
        assert rows[model].images_factor == pytest.approx(images, rel=0.02), model
        assert rows[model].product == pytest.approx(product, rel=0.025), model
        factor = rows[model].reduction_factor
        assert rows[model].product == pytest.approx(factor, rel=0.045)  # 0.12 is 4 % rounded


def test_epochs_times_images_is_the_gain_where_nothing_is_rounded():
    entries = [
        make_entry("a", model="a", macs=2_000_000, crossing_images=4000.0, date="2012-01-01"),
        make_entry("b", model="b", macs=500_000, crossing_images=1000.0, date="2015-01-01"),
        make_entry("c", model="c", crossing_images=None, date="2016-01-01"),
        make_entry("d", model="d", date=None),
    ]
    first, second = epochs_and_images(entries, ANY)
    assert (first.model, first.product) == ("a", 1)
    assert (second.model, second.epochs_factor, second.images_factor) == ("b", 4, 4)
    assert second.product == pytest.approx(second.reduction_factor)


def test_the_baseline_comes_first_though_it_be_younger():
    baseline = make_baseline("a0", date="2018-01-01")
    target = make_target(source="baseline", baseline_run_ids=("a0",))
    rows = epochs_and_images([make_entry("r", target=target), baseline], ANY)
    assert [row.model for row in rows] == ["alexnet", "resnet18"]
    assert rows[1].epochs_factor == pytest.approx(5 / 4)


def test_no_row_that_arrived_is_the_users_to_mend():
    with pytest.raises(UserError, match="no dated row reached"):
        epochs_and_images([make_entry("a", crossing_images=None)], ANY)


SCALES = {(0, 0): 8e8, (1, 0): 2e8, (0, 1): 4e8, (1, 1): 0.5e8}
"""Images to rise by one logit."""


class TestAtAnotherLevel:
    """Corners whose curves are straight on the logit scale, so each crossing is a product."""

    def corners(self, **overrides):
        return [
            straight(
                f"{corner.model}-{corner.recipe}-s{seed}",
                scale * (1 + 0.1 * seed),
                model=corner.model,
                recipe=corner.recipe,
                seed=seed,
                **overrides,
            )
            for key, scale in SCALES.items()
            for seed, corner in enumerate([CORNERS[key]] * 2)
        ]

    @pytest.mark.parametrize("level", [0.3, 0.55, 0.9])
    def test_a_gain_of_speed_alone_is_split_alike_at_every_level(self, level):
        result = decompose(self.corners(), ANY, OLD, NEW, at=level)
        assert result.target.value == level
        parts = parts_of(result)
        # log2 of 8, 2, 4 and 0.5: architecture (2 + 3) / 2, recipe (1 + 2) / 2
        assert parts["architecture"].log2_gain == pytest.approx(2.5, abs=1e-4)
        assert parts["recipe"].log2_gain == pytest.approx(1.5, abs=1e-4)
        assert parts["whole gain"].factor == pytest.approx(16, rel=1e-4)
        images = {cell.model + cell.recipe: cell.compute * 8.64e16 / 3e6 for cell in result.cells}
        mean = 8e8 * math.sqrt(1.1) * (logit(level) - START_LOGIT)
        assert images["alexnetsmall_alexnet"] == pytest.approx(mean, rel=1e-4)

    def test_the_baseline_is_charged_its_crossing_and_not_its_schedule(self):
        runs = self.corners()
        own = make_target(source="own_schedule")
        set_by = make_target(source="baseline", baseline_run_ids=[run.run_id for run in runs[:2]])
        runs = [
            run.model_copy(update={"target": own if number < 2 else set_by})
            for number, run in enumerate(runs)
        ]
        at, whole = (decompose(runs, ANY, OLD, NEW, at=level) for level in (0.9, None))
        assert at.cells[0].compute < whole.cells[0].compute
        assert "charged its whole schedule" in " ".join(whole.notes)
        assert "charged its whole schedule" not in " ".join(at.notes)

    def test_a_level_met_at_the_first_evaluation_is_said(self):
        seen = [
            run.model_copy(update={"evaluations": run.evaluations[20:]}) for run in self.corners()
        ]
        result = decompose(seen, ANY, OLD, NEW, at=0.5)
        bound = next(note for note in result.notes if "first evaluation" in note)
        assert all(run.run_id in bound for run in seen)

    def test_nothing_is_said_of_rows_that_are_no_corner(self):
        other = straight("other", 1e8, model="vgg11", recipe="small_plain")
        other = other.model_copy(update={"evaluations": other.evaluations[20:]})
        result = decompose([*self.corners(), other], ANY, OLD, NEW, at=0.5)
        assert "other" not in " ".join(result.notes)

    def test_seconds_are_not_read_from_curves(self):
        (run,) = runs_with_curves(self.corners()[:1]).values()
        with pytest.raises(UserError, match="give compute only"):
            compute_at(run, target_at(run.entry.target, 0.5), "sustained", "seconds")

    @pytest.mark.parametrize("level", [0.0, 1.0, 40.0])
    def test_a_level_is_a_fraction(self, level):
        with pytest.raises(UserError, match=r"--at 0\.4"):
            decompose(self.corners(), ANY, OLD, NEW, at=level)

    def test_a_corner_that_stays_below_is_named_with_the_way_out(self):
        runs = [run for run in self.corners() if run.model != "alexnet" or "alex" in run.recipe]
        low = run_with_curve(
            "low", [(0, 0.1), (10**8, 0.4)], model="alexnet", recipe="small_smoothed"
        )
        with pytest.raises(UserError, match="alexnet,small_smoothed never") as error:
            decompose([*runs, low], ANY, OLD, NEW, at=0.6)
        assert "--at 0.4" in str(error.value)
