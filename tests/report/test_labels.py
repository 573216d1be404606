"""Names beside points."""

from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.report.charts.labels import Box, label_box, line_boxes, sides

CANVAS = Box(0, 0, 400, 300)


def test_overlap_is_the_shared_area():
    assert Box(0, 0, 4, 4).overlap(Box(2, 3, 9, 9)) == 2
    assert Box(0, 0, 4, 4).overlap(Box(4, 0, 8, 4)) == 0


def test_alone_a_name_stands_to_the_right():
    assert sides([(100, 100, "alexnet")], CANVAS) == ["right"]


def test_at_the_edge_it_turns_inwards():
    assert sides([(395, 100, "alexnet")], CANVAS) == ["left"]


def test_it_keeps_off_a_line():
    line = line_boxes((50, 110), (300, 90))
    assert sides([(100, 100, "alexnet")], CANVAS, line)[0] in ("above", "below")


points = st.lists(
    st.tuples(st.floats(0, 400), st.floats(0, 300), st.text("abc", min_size=1, max_size=18)),
    max_size=14,
)


@given(points)
def test_no_name_covers_another_or_leaves_the_canvas(points):
    chosen = sides(points, CANVAS)
    boxes = [
        label_box(side, x, y, text)
        for side, (x, y, text) in zip(chosen, points, strict=True)
        if side is not None
    ]
    for i, box in enumerate(boxes):
        assert box.overlap(CANVAS) >= box.area - 1e-6
        assert all(box.overlap(other) == 0 for other in boxes[i + 1 :])
