"""The sweep as a chart: its points, and its axis when an interval is open."""

from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.sensitivity.threshold_sweep import sweep
from efficiency_bench.ledger.reference import published_entries
from efficiency_bench.report.charts.style import WIDE
from efficiency_bench.report.charts.sweep_chart import sweep_chart
from tests.fitting.curve_factory import planted


def drawn(months):
    spec = sweep_chart(sweep(planted(months), Selection(), 0.5, 0.9), WIDE).to_dict()
    points = next(la for la in spec["layer"] if la["mark"]["type"] == "point")
    return spec, points["data"]["values"]


def test_a_planted_rate_is_the_same_at_every_threshold():
    _, points = drawn(16.0)
    assert len(points) > 10
    assert all(abs(point["months"] - 16) < 0.01 for point in points)
    assert [point["own"] for point in points].count(True) == 1


def test_the_axis_holds_every_point():
    for months in (9.0, 60.0):
        spec, points = drawn(months)
        low, high = spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
        assert low == 0
        assert all(low < point["months"] < high for point in points)


def test_one_level_is_no_sweep():
    assert sweep_chart(sweep(published_entries(), Selection(), 0.5, 0.9), WIDE) is None
