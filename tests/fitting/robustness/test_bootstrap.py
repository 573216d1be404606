"""Draws of rows, seeds and crossings, line by line against scipy."""

import numpy as np
import pytest
import scipy.stats

from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.robustness.bootstrap import (
    hierarchical_bootstrap,
    pairs_bootstrap,
    running_minimum,
    slopes,
)
from efficiency_bench.fitting.robustness.checks import months_of
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.ledger.reference import published_entries
from tests.fitting.given_rows import SIX


def test_few_rows_are_drawn_in_every_way_once():
    """Three rows: 27 draws, of which three take one row alone and have no slope."""
    every = pairs_bootstrap(np.array([0.0, 1, 3]), np.array([0.0, 1, 2]))
    assert len(every) == 24
    # 6 draws of two rows for each pair, 6 of all three
    drawn = dict(zip(*np.unique(every.round(9), return_counts=True), strict=True))
    assert drawn[1.0] == drawn[0.5] == 6


def test_slopes_of_many_lines_are_scipys():
    generator = np.random.default_rng(3)
    x, y = generator.normal(size=(5, 9)), generator.normal(size=(5, 9))
    taken = generator.random((5, 9)) < 0.7
    expected = [scipy.stats.linregress(x[i][taken[i]], y[i][taken[i]]).slope for i in range(len(x))]
    assert slopes(x, y, taken) == pytest.approx(expected)


def test_the_running_minimum_is_the_frontiers():
    y = np.array([[3.0, 4.0, 2.0, 2.0, 1.0], [3.0, 4.0, 5.0, 5.0, 1.0]])
    assert running_minimum(y).tolist() == [
        [True, False, True, False, True],
        [True] * 5,  # a frontier of two gives way to all rows
    ]


def test_a_row_drawn_twice_stands_on_the_frontier_twice():
    """Where every row is on the frontier, choosing it anew in each draw changes nothing."""
    rows = [row for row in fit_rows(published_entries(), Selection()).rows if row.model in SIX]
    x = months_of(rows)
    chosen, every = (
        hierarchical_bootstrap(rows, x, on_frontier, {}) for on_frontier in (True, False)
    )
    assert chosen == pytest.approx(every)
