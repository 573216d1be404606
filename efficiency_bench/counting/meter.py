"""The compute account of a run: images by segment, added up as they are processed."""

from __future__ import annotations

from efficiency_bench.counting.forward import ForwardCount
from efficiency_bench.records import Segment


class SegmentMeter:
    """Adds up images; a change of resolution, MACs or passes opens a new segment.

    Plain integers, and constant time a call: it is called at every step.
    """

    def __init__(self) -> None:
        self._closed: list[Segment] = []
        self._images = 0
        self._count: ForwardCount | None = None
        self._passes = 1

    def add(self, images: int, count: ForwardCount, passes: int = 1) -> None:
        """Charge ``images`` training images, each for ``passes`` passes at ``count``."""
        if self._count is None or passes != self._passes or _cost(count) != _cost(self._count):
            self._closed.extend(self._open())
            self._count, self._passes, self._images = count, passes, 0
        self._images += images

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The account so far, in the order of training."""
        return (*self._closed, *self._open())

    def _open(self) -> tuple[Segment, ...]:
        if self._count is None or self._images == 0:
            return ()
        return (
            Segment(
                images=self._images,
                resolution_px=self._count.resolution_px,
                forward_macs=self._count.forward_macs,
                first_layer_macs=self._count.first_layer_macs,
                backward_macs=self._count.backward_macs,
                passes=self._passes,
            ),
        )


def _cost(count: ForwardCount) -> tuple[int, int, int, int]:
    """What tells one segment from another."""
    return (
        count.resolution_px,
        count.forward_macs,
        count.first_layer_macs,
        count.backward_macs,
    )
