"""The elasticity of compute to width: planted ladders whose answer is known in closed form."""

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.width_elasticity import width_elasticity
from tests.fitting.rungs import BUDGETS, NETWORKS, arriving, ledger, planted, rung


def elasticity(entries):
    return width_elasticity(entries, Selection(axis="architecture"))


@pytest.mark.parametrize(
    ("arrival", "slope"),
    [(lambda scale: 0.5 * scale, 1.0), (lambda scale: 0.5, 0.0), (lambda scale: 0.5 / scale, -1.0)],
)
def test_a_planted_elasticity_is_found_and_lies_in_its_interval(arrival, slope):
    found = elasticity(planted(arrival))
    assert found.slope == pytest.approx(slope, abs=0.01)
    assert found.low < slope < found.high
    assert (found.rows, found.models) == (9, tuple(sorted(NETWORKS)))
    assert found.large is (slope > 0.5)


def test_networks_at_one_scale_and_other_recipes_do_not_count():
    entries = planted(lambda scale: 0.5 * scale)
    other = [
        rung("googlenet", budget, 0.9, "2014-09-17", model_config={"scale": 1.0})
        for budget in BUDGETS
    ]
    again = [
        entry.model_copy(update={"recipe": "small_modern"})
        for entry in arriving("vgg11", 2.0, None)
    ]
    assert elasticity([*entries, *other, *again]) == elasticity(entries)


def test_without_a_second_scale_the_message_says_what_to_train():
    with pytest.raises(UserError, match=r"two scales or more\ntrain one: .* model\.scale="):
        elasticity(ledger())


def test_rows_that_never_arrive_give_no_slope():
    assert elasticity(planted(lambda scale: None)).slope is None
