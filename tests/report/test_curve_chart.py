"""Thinned curves that keep their crossings, and seeds that share a row."""

from efficiency_bench.report.charts.curve_chart import (
    MOST_POINTS,
    curve_chart,
    seeds_together,
    thinned,
)
from efficiency_bench.report.charts.style import NARROW, WIDE
from efficiency_bench.report.tables.crossings import crossing_rows
from tests.fitting.curve_factory import run_with_curve, straight
from tests.ledger.factory import make_baseline, make_target


def test_a_short_curve_is_drawn_whole():
    entry = straight("short", 1e6, points=MOST_POINTS)
    drawn = [(float(f"{e.epochs:.5g}"), round(100 * e.top1, 3)) for e in entry.evaluations]
    assert thinned(entry) == drawn


def test_a_long_curve_keeps_its_ends_and_both_sides_of_a_crossing():
    entry = straight("long", 1e6, points=1000)
    kept = thinned(entry)
    assert MOST_POINTS * 0.9 <= len(kept) <= MOST_POINTS + 4
    every = [(float(f"{e.epochs:.5g}"), round(100 * e.top1, 3)) for e in entry.evaluations]
    assert (kept[0], kept[-1]) == (every[0], every[-1])
    assert kept == sorted(kept)
    under = max(point for point in every if point[1] < 90)
    over = min(point for point in every if point[1] >= 90)
    assert {under, over} <= set(kept)


def test_a_curve_with_many_crossings_stays_small():
    points = [(100 * i, 0.9 + (0.01 if i % 2 else -0.01)) for i in range(1, 2000)]
    assert len(thinned(run_with_curve("restless", points))) <= 3 * MOST_POINTS + 4


def test_a_curve_without_the_metric_has_no_points():
    entry = straight("top5", 1e6, target=make_target())
    other = entry.model_copy(update={"target": make_target(metric="top5")})
    assert thinned(other) == []


def test_seeds_share_one_row():
    same = {"model": "net", "config_digest": "c" * 64}
    ledger = [
        *(straight(f"net-s{i}", 1e6 * (1 + 0.1 * i), **same) for i in range(3)),
        straight("alone", 2e6),
        make_baseline("own"),
    ]
    rows = seeds_together(crossing_rows(ledger))
    assert [row["run_ids"] for row in rows] == [["net-s0", "net-s1", "net-s2"], ["alone"]]


def test_both_widths_draw_every_row():
    rows = seeds_together(crossing_rows([straight("one", 1e6), straight("two", 2e6)]))
    curves = [{"run": "one", "kind": "other", "epochs": 1.0, "accuracy": 50.0}]
    for size in (WIDE, NARROW):
        upper, lower = curve_chart(make_target(), curves, rows, size).to_dict()["vconcat"]
        assert (upper["width"], lower["width"]) == (size.width_px, size.width_px)
        names = {point["name"] for point in lower["layer"][0]["data"]["values"]}
        assert names == {"one", "two"}
