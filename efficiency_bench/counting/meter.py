"""The compute account of a run: images per segment, added up during training."""

from __future__ import annotations

from collections.abc import Sequence

from efficiency_bench.counting.forward import ForwardCount
from efficiency_bench.records import Segment

SegmentKey = tuple[int, int, int, int, int]
"""What distinguishes segments: side in px, F, F1, B and passes."""


class SegmentMeter:
    """Adds up images; a change of resolution, MACs or passes opens a new segment.

    It is called at every step: plain integers, constant time per call.
    """

    def __init__(self, so_far: Sequence[Segment] = ()) -> None:
        """Continue the account ``so_far``, or start a new one."""
        self._keys = [_key_of(segment) for segment in so_far]
        self._images = [segment.images for segment in so_far]

    def add(self, images: int, count: ForwardCount, passes: int = 1) -> None:
        """Add ``images`` training images, each with ``passes`` passes at the cost of ``count``."""
        key = (
            count.resolution_px,
            count.forward_macs,
            count.first_layer_macs,
            count.backward_macs,
            passes,
        )
        if not self._keys or key != self._keys[-1]:
            self._keys.append(key)
            self._images.append(0)
        self._images[-1] += images

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments so far, in the order of training; empty segments are omitted."""
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
                self._images, self._keys, strict=True
            )
            if images
        )


def _key_of(segment: Segment) -> SegmentKey:
    return (
        segment.resolution_px,
        segment.forward_macs,
        segment.first_layer_macs,
        segment.backward_macs,
        segment.passes,
    )
