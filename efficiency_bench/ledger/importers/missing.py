"""Find skipped lines that may have been evaluations and could change the crossing."""

from __future__ import annotations

from itertools import pairwise

from efficiency_bench.ledger.baseline import CHANCE_STANDARD_ERRORS
from efficiency_bench.ledger.importers.curve import Curve, MissingLine, Point, standard_error
from efficiency_bench.records import Target
from efficiency_bench.stop_rule import sustained_index


def decisive(curve: Curve, target: Target) -> list[MissingLine]:
    """Return the missing evaluations of ``curve`` that may change whether and when it crosses.

    A missing accuracy is assumed to lie between its neighbours, plus or minus a margin: ten
    binomial standard errors at the target, or the largest drop of the curve between two
    evaluations, whichever is larger.  It is decisive if such an accuracy could move the crossing
    earlier (always so just before a crossing) or could undo a confirmation.
    """
    accuracies = [_accuracy(point, target) for point in curve.points]
    sustained = sustained_index(target, accuracies, schedule_over=curve.whole)
    falls = [before - after for before, after in pairwise(accuracies)]
    noise = CHANCE_STANDARD_ERRORS * standard_error(target.threshold, curve.data.val_images)
    margin = max([noise, *falls])

    def decides(missing: MissingLine) -> bool:
        place = missing.after - (missing.again is not None)
        if sustained is not None and place > sustained + target.confirmations:
            return False
        if missing.again is not None:
            again = _accuracy(missing.again, target)
            return target.met_by(again) != target.met_by(accuracies[place])
        neighbours = accuracies[max(place - 1, 0) : place + 1]
        if sustained is not None and place > sustained:
            return not target.met_by(min(neighbours) - margin)
        return target.met_by(max(neighbours) + margin)

    return [missing for missing in curve.missing if decides(missing)]


def _accuracy(point: Point, target: Target) -> float:
    if target.metric == "top1" or point.top5 is None:
        return point.top1
    return point.top5
