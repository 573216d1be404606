"""The segments of a run: every image in exactly one, a new one at each change of cost."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.counting import ForwardCount, SegmentMeter
from efficiency_bench.records import Segment, exact_flops, paper3x_tfs_days


def _cost(side: int = 32, forward: int = 100) -> ForwardCount:
    return ForwardCount(side, forward, 10, 2 * forward - 10, {"conv": forward}, {}, {})


def test_segments_open_when_the_cost_changes() -> None:
    meter = SegmentMeter()
    assert meter.segments == ()
    meter.add(5, _cost(16))
    meter.add(7, _cost(16))  # the same cost extends the segment
    meter.add(1, _cost(32))
    meter.add(2, _cost(32), passes=2)
    meter.add(3, _cost(32, forward=50), passes=2)
    meter.add(4, _cost(16))
    kept = [(s.images, s.resolution_px, s.forward_macs, s.passes) for s in meter.segments]
    assert kept == [
        (12, 16, 100, 1),
        (1, 32, 100, 1),
        (2, 32, 100, 2),
        (3, 32, 50, 2),
        (4, 16, 100, 1),
    ]


def test_a_segment_carries_the_counts() -> None:
    meter = SegmentMeter()
    meter.add(3, _cost(24, forward=70))
    assert meter.segments == (
        Segment(
            images=3, resolution_px=24, forward_macs=70, first_layer_macs=10, backward_macs=130
        ),
    )


def test_a_change_of_backward_macs_alone_opens_a_segment() -> None:
    meter = SegmentMeter()
    meter.add(1, _cost())
    meter.add(1, dataclasses.replace(_cost(), backward_macs=5))
    assert len(meter.segments) == 2


def test_reading_the_segments_does_not_change_them() -> None:
    meter = SegmentMeter()
    meter.add(1, _cost())
    assert meter.segments == meter.segments
    meter.add(1, _cost())
    assert [s.images for s in meter.segments] == [2]


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from([16, 24, 32]), st.integers(1, 2))))
def test_compute_is_the_sum_over_the_steps(steps: list[tuple[int, int, int]]) -> None:
    meter = SegmentMeter()
    for images, side, passes in steps:
        meter.add(images, _cost(side, forward=side * 7), passes)
    forward = sum(images * passes * side * 7 for images, side, passes in steps)
    backward = sum(images * passes * (2 * side * 7 - 10) for images, side, passes in steps)
    assert exact_flops(meter.segments) == 2 * (forward + backward)
    assert paper3x_tfs_days(meter.segments) == 3 * forward / 8.64e16
    assert sum(s.images for s in meter.segments) == sum(images for images, _, _ in steps)
