"""The compute account of a run: images by segment, added up as they are processed."""

from __future__ import annotations

from collections.abc import Sequence

from efficiency_bench.counting.forward import ForwardCount
from efficiency_bench.records import Segment

Cost = tuple[int, int, int, int, int]
"""What tells one segment from another: side in px, F, F1, B and passes."""


class SegmentMeter:
    """Adds up images; a change of resolution, MACs or passes opens a new segment.

    Plain integers, and constant time a call: it is called at every step.
    """

    def __init__(self, so_far: Sequence[Segment] = ()) -> None:
        """Continue the account ``so_far``, or begin one."""
        self._costs = [_cost_of(segment) for segment in so_far]
        self._images = [segment.images for segment in so_far]

    def add(self, images: int, count: ForwardCount, passes: int = 1) -> None:
        """Charge ``images`` training images, each for ``passes`` passes at ``count``."""
        cost = (
            count.resolution_px,
            count.forward_macs,
            count.first_layer_macs,
            count.backward_macs,
            passes,
        )
        if not self._costs or cost != self._costs[-1]:
            self._costs.append(cost)
            self._images.append(0)
        self._images[-1] += images

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The account so far, in the order of training; a segment of no images is left out."""
        return tuple(
            Segment(
                images=images,
                resolution_px=side,
                forward_macs=forward,
                first_layer_macs=first,
                backward_macs=backward,
                passes=passes,
            )
            for images, (side, forward, first, backward, passes) in zip(
                self._images, self._costs, strict=True
            )
            if images
        )


def _cost_of(segment: Segment) -> Cost:
    return (
        segment.resolution_px,
        segment.forward_macs,
        segment.first_layer_macs,
        segment.backward_macs,
        segment.passes,
    )
