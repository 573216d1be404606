"""Comparable sets: every run is grouped only with runs it can be compared with."""

from efficiency_bench.fitting.groups import Selection, comparable_sets, select
from tests.ledger.factory import make_baseline, make_entry, make_target


def test_each_set_is_what_its_options_select():
    other = make_target(value=0.8)
    ledger = [
        make_baseline("own"),
        make_entry("a"),
        make_entry("b"),
        make_entry("c", target=other),
        make_entry("d", data="cifar10", data_digest="e" * 64),
        make_entry("e", estimand="budgeted"),
        make_entry("f", tier="published"),
    ]
    sets = comparable_sets(ledger)
    names = [[entry.run_id for entry in members] for members in sets.values()]
    assert sorted(names) == [["a", "b", "own"], ["c", "own"], ["d"], ["e", "own"], ["f"]]
    for group, members in sets.items():
        assert select(members, Selection())[0] == group


def test_a_baseline_alone_is_not_a_set():
    assert comparable_sets([make_baseline("own")]) == {}
