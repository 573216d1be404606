"""Work done ahead in a thread, while the device trains on what is there already."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class DrawnAhead(Generic[Result]):
    """What each epoch needs, drawn in a thread during the epoch before.

    ``draw`` must be a function of the epoch alone, so that it does not matter when it is called.
    """

    def __init__(self, pool: Executor, draw: Callable[[int], Result]) -> None:
        """Draw epoch 0 at once: training has not begun, and no clock runs."""
        self._pool = pool
        self._draw = draw
        self._next: tuple[int, Future[Result]] = (0, pool.submit(draw, 0))

    def __call__(self, epoch: int) -> Result:
        """What ``draw(epoch)`` returns; the epoch after it is begun."""
        known, future = self._next
        # another epoch than the next one: a run that resumes there
        drawn = future.result() if known == epoch else self._draw(epoch)
        self._next = (epoch + 1, self._pool.submit(self._draw, epoch + 1))
        return drawn


def worked_ahead(
    pool: Executor, items: Iterable[Item], work: Callable[[Item], Result], ahead: int
) -> Iterator[Result]:
    """``work`` of each item in order, done in ``pool`` for up to ``ahead`` items in advance."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # an epoch that is left early leaves no work behind
        for future in waiting:
            future.cancel()
