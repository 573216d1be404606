"""On which side of its point a name is readable, so that names do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CHARACTER_PX, LINE_PX = 6.2, 13.0
"""Mean width and height of a character at the 11 px that charts use."""

POINT_PX = 12.0
"""Side of the square that a point takes."""

GAP_PX = 8.0


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Shared area, square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)

    @property
    def area(self) -> float:
        """Square pixels."""
        return (self.right - self.left) * (self.bottom - self.top)


SIDES = ("right", "left", "above", "below")


def label_box(side: str, x: float, y: float, text: str) -> Box:
    """Where a label of ``text`` beside the point (x, y) would lie."""
    width = CHARACTER_PX * len(text)
    if side == "right":
        return Box(x + GAP_PX, y - LINE_PX / 2, x + GAP_PX + width, y + LINE_PX / 2)
    if side == "left":
        return Box(x - GAP_PX - width, y - LINE_PX / 2, x - GAP_PX, y + LINE_PX / 2)
    if side == "above":
        return Box(x - width / 2, y - GAP_PX - LINE_PX, x + width / 2, y - GAP_PX)
    return Box(x - width / 2, y + GAP_PX, x + width / 2, y + GAP_PX + LINE_PX)


def line_boxes(start: tuple[float, float], end: tuple[float, float]) -> list[Box]:
    """Small boxes along a straight line between two points, for names to keep off."""
    steps = max(1, round(max(abs(end[0] - start[0]), abs(end[1] - start[1])) / 4))
    middles = (
        tuple(a + (b - a) * i / steps for a, b in zip(start, end, strict=True))
        for i in range(steps + 1)
    )
    return [Box(x - 2, y - 2, x + 2, y + 2) for x, y in middles]


def sides(
    points: Sequence[tuple[float, float, str]], canvas: Box, lines: Sequence[Box] = ()
) -> list[str | None]:
    """A side for each (x px, y px, text), the first ones choosing first.

    A side where the name would cover another one or a point, or leave the canvas, is not
    taken; one where it would cross ``lines`` only where there is no better.  None where no
    side is left: the name is then better found in the table than printed over another.
    """
    half = POINT_PX / 2
    taken = [Box(x - half, y - half, x + half, y + half) for x, y, _ in points]
    chosen: list[str | None] = []
    for x, y, text in points:
        boxes = {side: label_box(side, x, y, text) for side in SIDES}
        free = [
            side
            for side, box in boxes.items()
            if box.area - box.overlap(canvas) < 1e-6 and not any(map(box.overlap, taken))
        ]
        side = min(free, key=lambda side: sum(map(boxes[side].overlap, lines)), default=None)
        if side is not None:
            taken.append(boxes[side])
        chosen.append(side)
    return chosen
