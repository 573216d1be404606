"""efficiency-bench measures how fast the compute to a fixed accuracy falls.

Four functions do what the verbs of the command line do, by the same code: ``train``,
``ledger.read``, ``crossing`` and ``fit``.  Each imports what it needs when it is called, so that
``import efficiency_bench`` takes milliseconds and only ``train`` imports torch.

A mistake of the caller's is ``UserError``: what was wrong, what is allowed, what to type.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from efficiency_bench import ledger
from efficiency_bench.errors import Stopped, UserError

if TYPE_CHECKING:
    from efficiency_bench.fitting.crossing_interval import CrossingEstimate
    from efficiency_bench.fitting.currencies import Crossing, Currency
    from efficiency_bench.fitting.fit import Fit
    from efficiency_bench.fitting.halving import Variant
    from efficiency_bench.records import Entry, Estimand, Tier
    from efficiency_bench.target_crossing import CrossingKind

__version__ = "0.2.0"


def train(*arguments: str) -> tuple[Entry, ...]:
    """Train a run, or with ``"-m"`` a sweep, to its target; the entries, in order of the sweep.

    ``arguments`` are those of ``efficiency-bench train``, a string each: ``"experiment=resnet18"``,
    ``"data=digits"``.  Folders are relative to the working directory.  Progress goes to standard
    error.  A run that is finished already gives its entry again and trains nothing; one that was
    left goes on.

    A run that ended by a fault gives an entry too: look at ``end_reason`` (``target``,
    ``schedule``, ``diverged``, ``failed``) and ``reached``.  Of several processes (torchrun, Slurm)
    the first returns the entries, the others none.

    Call it in the main thread: it takes Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 while it runs,
    which stop the run after its step and save it.

    Raises Stopped when a run was stopped so, or is not over where a launcher started it: the same
    call goes on.  Raises UserError for a mistake in the arguments; of a sweep, also where a run
    could not begin, after the others have been trained and are in the ledger.
    """
    from efficiency_bench.cli.train import entries_of

    return entries_of(arguments)


def crossing(entry: Entry, kind: CrossingKind = "sustained") -> CrossingEstimate | None:
    """Where a run crossed its target, in training images, with a 95 % interval.

    ``kind``: ``"first"`` touch of the target; ``"sustained"``, which two further evaluations hold,
    or all that remain before the schedule's end (the one that a run stops by and that is fitted);
    ``"isotonic"``, of the curve made never to fall.  Between two evaluations accuracy grows
    linearly on the logit scale with the images.

    ``value`` is None where the run never crossed, ``high`` where nothing bounds the crossing above.
    ``low`` and ``high`` speak of these validation images, ``population_low`` and
    ``population_high`` of new ones of the same kind.  Epochs: divide by the images of an epoch.

    None where there is nothing to cross: an entry without a learning curve (a published row), and
    a baseline's own run, which set the target.

    Raises UserError for an unknown ``kind``.  Source: docs/numbers.md, section 3, with the
    measured coverage.
    """
    from typing import get_args

    from efficiency_bench.errors import unknown
    from efficiency_bench.fitting.crossing_interval import entry_crossing
    from efficiency_bench.target_crossing import CrossingKind

    if kind not in get_args(CrossingKind):
        raise unknown("crossing", kind, get_args(CrossingKind))
    return None if entry.target.source == "own_schedule" else entry_crossing(entry, kind)


def fit(
    entries: Sequence[Entry],
    *,
    data: str | None = None,
    target: float | None = None,
    tier: Tier | None = None,
    estimand: Estimand | None = None,
    until: date | None = None,
    variant: Variant = "frontier",
    crossing: Crossing = "sustained",
    currency: Currency = "paper3x",
    hardware: str | None = None,
) -> Fit:
    """Fit the halving time: log2 of compute against publication date, least squares.

    ``data`` (a name, or the beginning of a digest), ``target`` (accuracy, a fraction), ``tier``
    (``"measured"``, ``"imported"``, ``"published"``) and ``estimand`` (``"anytime"``,
    ``"budgeted"``) name the runs that may stand together, where the entries hold several sets.
    ``until`` leaves out rows published after that day.  ``variant``: the running minimum by date
    (``"frontier"``), or ``"all"`` rows.  ``crossing``: ``"sustained"`` or ``"first"``.
    ``currency``: ``"paper3x"`` (3 x forward MACs, teraflop/s-days of 8.64e16), ``"exact"``
    (FLOPs), ``"seconds"``, ``"energy"`` (joules) or ``"dollars"``; the last three on one kind of
    machine, named by ``hardware`` where there are several.

    The result has the keys of ``fit --json``: ``halving_months`` with the ends ``low_months`` and
    ``high_months`` of its 95 % t-interval (None: no fall, or not shown), ``reduction_factor``,
    ``n`` rows fitted, ``rows``, ``notes``; and the second opinions: ``methods``, ``tests`` and
    others.

    Raises UserError for an unknown choice, fewer than three dated rows that reached the target, or
    several sets with none named; the message then lists them as options of the command line.

    Source: Hernandez & Brown 2020, arXiv:2005.04305; docs/numbers.md, sections 4 and 5.
    """
    from efficiency_bench.fitting.fit import fit as fit_selected
    from efficiency_bench.fitting.groups import Selection

    selection = Selection(data=data, target=target, tier=tier, estimand=estimand, until=until)
    return fit_selected(
        entries,
        selection,
        variant=variant,
        crossing=crossing,
        currency=currency,
        hardware=hardware,
    )


__all__ = ["Stopped", "UserError", "__version__", "crossing", "fit", "ledger", "train"]
