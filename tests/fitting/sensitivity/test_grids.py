"""Which gains can be split: both networks with both recipes, once each, all arrived."""

from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.fitting.sensitivity.decomposition import Corner, complete_grids, decompose
from tests.ledger.factory import make_entry

DATES = {"old": "2012-06-01", "new": "2015-12-10"}
COSTS = {("old", "r1"): 4000.0, ("old", "r2"): 3000.0, ("new", "r1"): 2000.0, ("new", "r2"): 900.0}


def entries(**changed):
    return [
        make_entry(
            f"{model}-{recipe}",
            model=model,
            recipe=recipe,
            date=DATES[model],
            crossing_images=changed.get(f"{model}_{recipe}", images),
        )
        for (model, recipe), images in COSTS.items()
    ]


def grids(found):
    return complete_grids(fit_rows(found, Selection()).rows)


def test_a_full_square_is_found_and_goes_from_dear_to_cheap():
    (grid,) = grids(entries())
    assert grid == (Corner("old", "r1"), Corner("new", "r2"))
    whole = decompose(entries(), Selection(), *grid).parts[2]
    assert abs(whole.factor - 4000 / 900) < 1e-9


def test_the_old_recipe_is_the_one_that_costs_the_old_network_more():
    assert grids(entries(old_r1=2500.0)) == ((Corner("old", "r2"), Corner("new", "r1")),)


def test_a_corner_that_is_absent_missed_or_twofold_completes_none():
    assert grids(entries()[:3]) == ()
    assert grids(entries(new_r2=None)) == ()
    twice = make_entry("again", model="new", recipe="r2", date=DATES["new"], config_digest="c" * 64)
    assert grids([*entries(), twice]) == ()
