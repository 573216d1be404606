"""Budgeted runs as ladders: intervals, the baseline's point, its level and its error."""

import math

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.censored import CensoredRows, censored_halving_time
from efficiency_bench.fitting.fit import fit
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.rows import fit_rows
from tests.fitting.rungs import WHOLE, ladder, ledger, rung

ARCHITECTURE = Selection(axis="architecture")


def by_model(row_set):
    return {row.model: row for row in row_set.rows}


def test_ladders_are_the_default_and_each_row_is_an_interval_or_a_bound():
    row_set = fit_rows(ledger(), ARCHITECTURE)
    assert row_set.group.estimand == "budgeted"
    assert row_set.target.value == pytest.approx(0.8)
    rows = by_model(row_set)
    assert {name: row.censoring for name, row in rows.items()} == {
        "alexnet": "none",
        "vgg11": "above",
        "resnet18": "interval",
        "mobilenet_v2": "below",
    }
    assert rows["alexnet"].compute == pytest.approx(WHOLE)
    assert rows["vgg11"].compute_at_least == pytest.approx(WHOLE)
    assert rows["resnet18"].compute_at_least == pytest.approx(WHOLE / 4)
    assert rows["resnet18"].compute_at_most == pytest.approx(WHOLE / 2)
    assert rows["resnet18"].epochs_to_target == pytest.approx(2.5)
    assert (rows["mobilenet_v2"].compute_low, rows["mobilenet_v2"].compute_at_least) == (None, 0)
    assert rows["mobilenet_v2"].compute_at_most == pytest.approx(WHOLE / 8)


def test_the_levels_error_is_the_baselines_and_moves_all_rows_but_its_own():
    row_set = fit_rows(ledger(), ARCHITECTURE)
    # 0.79, 0.80, 0.81: standard deviation 0.01, over the root of three seeds
    assert row_set.target_error == pytest.approx(0.01 / math.sqrt(3))
    assert len(row_set.levels) == 21
    assert row_set.levels[10] == pytest.approx(0.8)
    taken = CensoredRows.from_row_set(row_set)
    assert [row.model for row in taken.rows] == ["alexnet", "vgg11", "resnet18", "mobilenet_v2"]
    base, _, resnet, _ = (taken.observations(row)[0] for row in taken.rows)
    assert base.ravel() == pytest.approx([math.log2(WHOLE)] * 2)
    assert resnet.shape == (2, 21)
    # Student's t of two degrees of freedom puts the level under 0.75, where a quarter arrives, once
    # in 152: no draw of 21.  All draws lie between a quarter and a half.
    assert resnet[0] == pytest.approx([math.log2(WHOLE / 4)] * 21)


def test_another_level_is_read_from_the_same_runs_and_the_baseline_has_a_ladder_too():
    row_set = fit_rows(ledger(), Selection(axis="architecture", target=0.7))
    rows = by_model(row_set)
    assert row_set.levels == ()
    assert rows["vgg11"].compute_at_most == pytest.approx(WHOLE / 2)
    assert rows["alexnet"].censoring == "below"
    assert not rows["alexnet"].is_baseline


def test_without_a_level_the_command_is_named():
    rungs = [entry for entry in ledger() if entry.model != "alexnet"]
    with pytest.raises(UserError, match=r"fit --target 0\.6"):
        fit_rows(rungs, Selection(estimand="budgeted"))
    assert len(fit_rows(rungs, Selection(estimand="budgeted", target=0.8)).rows) == 3


def test_a_diverged_trial_counts_at_chance_and_a_failed_one_not_at_all():
    diverged = rung("resnet18", 1.0, 0.99, "2015-12-10", seed=1, end_reason="diverged")
    failed = rung("resnet18", 0.5, 0.99, "2015-12-10", seed=1, end_reason="failed")
    row_set = fit_rows([*ledger(), diverged, failed], ARCHITECTURE)
    own = by_model(row_set)["resnet18"].ladders[1]
    assert own.means == (0.1,)
    assert any("counted at chance level: " + diverged.run_id in note for note in row_set.notes)
    assert any(
        failed.run_id in note and "runs that failed are left out" in note for note in row_set.notes
    )


def test_smaller_accuracies_at_larger_budgets_are_counted():
    entries = [*ledger(), *ladder("googlenet", "2014-09-17", (0.6, 0.5, 0.85, 0.9))]
    notes = fit_rows(entries, ARCHITECTURE).notes
    assert any(note.startswith("googlenet small_2020: 1 times a larger budget") for note in notes)


def test_a_row_that_never_left_chance_is_named_because_its_bound_says_little():
    """Ten classes, 400 images: guessing gives 10 %, three standard errors more are 14.5 %."""
    for last, noted in ((0.144, True), (0.146, False)):
        stuck = ladder("convnext_tiny", "2022-01-10", (0.1, 0.1, 0.1, last))
        notes = fit_rows([*ledger(), *stuck], ARCHITECTURE).notes
        named = [note for note in notes if "no run is better than guessing" in note]
        assert [note.partition(":")[0] for note in named] == ["convnext_tiny small_2020"] * noted


def test_the_fit_of_ladders_is_censored_and_says_so():
    found = fit(ledger(), ARCHITECTURE)
    assert (found.method, found.n, found.n_arrived, found.axis) == (
        "censored",
        4,
        3,
        "architecture",
    )
    assert found.other_method.method == "frontier"
    assert found.halving_months == pytest.approx(
        censored_halving_time(fit_rows(ledger(), ARCHITECTURE)).halving_months
    )
    # every network here has 1 MMAC per image: images have the whole slope
    assert found.macs_share == pytest.approx(0, abs=1e-9)
    assert found.target_error is not None
    assert [row.months for row in found.power] == [16, 24]


def test_exact_flops_of_each_rung_take_the_place_of_shares():
    rows = by_model(fit_rows(ledger(), ARCHITECTURE, currency="exact"))
    assert rows["resnet18"].compute_at_most == pytest.approx(5.8e6 * 2500)


class TestAxes:
    def recipes(self):
        """ResNet-18 with two further recipes of 2018 and 2024, beside the common one."""
        return [
            *ledger(),
            *(
                entry
                for recipe, date in (("speedrun", "2018-09-24"), ("modern", "2024-03-30"))
                for entry in ladder(
                    "resnet18",
                    "2015-12-10",
                    (0.7, 0.82, 0.9, 0.95),
                    recipe=recipe,
                    recipe_config={"date": date},
                )
            ),
        ]

    def test_the_architecture_axis_has_one_recipe_and_the_models_dates(self):
        row_set = fit_rows(self.recipes(), ARCHITECTURE)
        assert {row.recipe for row in row_set.rows} == {"small_2020"}
        assert by_model(row_set)["resnet18"].date == "2015-12-10"
        assert any("left out: modern, speedrun" in note for note in row_set.notes)

    def test_another_recipe_is_dated_by_the_model_all_the_same(self):
        row_set = fit_rows(self.recipes(), Selection(axis="architecture", recipe="modern"))
        assert [(row.recipe, row.date) for row in row_set.rows] == [("modern", "2015-12-10")]

    def test_the_recipe_axis_has_one_model_and_the_recipes_dates(self):
        row_set = fit_rows(self.recipes(), Selection(axis="recipe"))
        assert [(row.model, row.date) for row in row_set.rows] == [
            ("resnet18", "2018-09-24"),
            ("resnet18", "2024-03-30"),
        ]
        assert any("small_2020 has no publication date" in note for note in row_set.notes)

    def test_without_an_axis_a_row_stands_at_the_later_date(self):
        dates = [row.date for row in fit_rows(self.recipes(), Selection()).rows]
        assert {"2015-12-10", "2018-09-24", "2024-03-30"} <= set(dates)

    @pytest.mark.parametrize(
        ("selection", "says"),
        [
            (Selection(axis="architecture", recipe="nothing"), "no row has recipe 'nothing'"),
            (Selection(axis="recipe", model="nothing"), "no row has model 'nothing'"),
            (Selection(axis="recipe", recipe="modern"), "--model resnet18"),
            (Selection(axis="architecture", model="resnet18"), "--axis recipe --model"),
        ],
    )
    def test_options_that_an_axis_lacks_are_rejected(self, selection, says):
        with pytest.raises(UserError, match=says):
            fit_rows(self.recipes(), selection)

    def test_forms_of_another_scale_are_left_out_and_reported(self):
        wide = ladder("resnet18", "2015-12-10", (0.7, 0.82, 0.9, 0.95), model_config={"scale": 2.0})
        wide = [entry.model_copy(update={"run_id": f"w-{entry.run_id}"}) for entry in wide]
        row_set = fit_rows([*ledger(), *wide], ARCHITECTURE)
        assert len(row_set.rows) == 4
        assert any("1 rows at other scales are left out" in note for note in row_set.notes)
        other = fit_rows([*ledger(), *wide], Selection(axis="architecture", scale=2.0))
        assert [row.scale for row in other.rows] == [2.0]
