"""efficiency-bench measures how fast the compute needed to reach a fixed accuracy falls.

The four functions ``train``, ``ledger.read``, ``crossing`` and ``fit`` run the same code as the
command line.  Each imports what it needs when it is called, so ``import efficiency_bench`` takes
milliseconds and only ``train`` imports torch.

A mistake by the caller raises ``UserError``: what is wrong, what is allowed, what to type.
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
    from efficiency_bench.fitting.groups import Axis
    from efficiency_bench.fitting.halving import Method, Variant
    from efficiency_bench.records import Entry, Estimand, Tier
    from efficiency_bench.target_crossing import CrossingKind

__version__ = "0.2.0"


def train(*arguments: str) -> tuple[Entry, ...]:
    """Train a run, or a sweep with ``"-m"``, and return its ledger entries in sweep order.

    ``arguments`` are those of ``efficiency-bench train``, one string each:
    ``"experiment=resnet18"``, ``"data=digits"``.  Folders are relative to the working directory.
    Progress goes to standard error.  A finished run returns its existing entry and trains nothing;
    an interrupted run resumes.

    A run that failed or diverged also returns an entry: check ``end_reason`` (``target``,
    ``schedule``, ``diverged``, ``failed``) and ``reached``.  With several processes (torchrun,
    Slurm) rank 0 returns the entries, the other ranks return an empty tuple.

    Call it in the main thread: while it runs, it handles Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 and
    SIGUSR2.  Each of them stops the run after the current step and saves a checkpoint.

    Raises Stopped if a signal stopped a run, or if a run that a launcher started is not finished;
    make the same call again to resume.  Raises UserError for a mistake in the arguments; for a
    sweep, also if a run could not start, after the others were trained and entered in the ledger.
    """
    from efficiency_bench.cli.train import entries_of

    return entries_of(arguments)


def crossing(entry: Entry, kind: CrossingKind = "sustained") -> CrossingEstimate | None:
    """Return where a run crossed its target, in training images, with a 95 % interval.

    ``kind``: ``"first"``, the first evaluation at or above the target; ``"sustained"``, the first
    one that the next two evaluations confirm, or all that remain before the schedule ends (a run
    stops at this one, and ``fit`` uses it); ``"isotonic"``, the crossing of the isotonic
    (non-decreasing) fit to the curve.  Between two evaluations accuracy is interpolated linearly in
    images on the logit scale.

    ``value`` is None if the run never crossed, ``high`` is None if nothing bounds the crossing from
    above.  ``low`` and ``high`` hold for these validation images, ``population_low`` and
    ``population_high`` for new ones from the same distribution.  For epochs, divide by the images
    per epoch.

    Returns None if there is nothing to cross: for an entry without a learning curve (a published
    row), for a baseline's own run, which sets the target, and for a budgeted run without a target.

    Raises UserError for an unknown ``kind``.  Source: docs/numbers.md, section 3, with the
    measured coverage.
    """
    from typing import get_args

    from efficiency_bench.errors import unknown
    from efficiency_bench.fitting.crossing_interval import entry_crossing
    from efficiency_bench.target_crossing import CrossingKind

    if kind not in get_args(CrossingKind):
        raise unknown("crossing", kind, get_args(CrossingKind))
    return None if entry.sets_target else entry_crossing(entry, kind)


def fit(
    entries: Sequence[Entry],
    *,
    data: str | None = None,
    target: float | None = None,
    tier: Tier | None = None,
    estimand: Estimand | None = None,
    until: date | None = None,
    method: Method | None = None,
    axis: Axis = "architecture",
    recipe: str | None = None,
    model: str | None = None,
    variant: Variant | None = None,
    crossing: Crossing = "sustained",
    currency: Currency = "paper3x",
    hardware: str | None = None,
) -> Fit:
    """Fit the halving time: how fast log2 of compute falls with publication date.

    ``data`` (a name, or the beginning of a digest), ``target`` (accuracy, a fraction), ``tier``
    (``"measured"``, ``"imported"``, ``"published"``) and ``estimand`` (``"anytime"``,
    ``"budgeted"``) select the runs to compare, if the entries hold several comparable sets.
    ``until`` leaves out rows published after that day.

    ``method``: ``"censored"`` regression over all rows, those that did not arrive included as
    bounds (the default for measured rows), or least squares on the ``"frontier"``, the method of
    2020 (the default for published rows).  ``variant``: rows of least squares, the running minimum
    by date (``"frontier"``) or ``"all"`` that arrived.  ``axis``: ``"architecture"`` compares
    models with one ``recipe`` (``small_2020`` if there are rows of it, else all); ``"recipe"``
    compares the recipes of one ``model``.  ``crossing``: ``"sustained"`` or ``"first"``.
    ``currency``: ``"paper3x"`` (3 x forward MACs, teraflop/s-days of 8.64e16), ``"exact"``
    (FLOPs), ``"seconds"``, ``"energy"`` (joules) or ``"dollars"``; the last three compare rows of
    one kind of machine, named by ``hardware`` if there are several.

    The result has the keys of ``fit --json``: ``halving_months`` with the ends ``low_months`` and
    ``high_months`` of its 95 % interval (None: no decline, or not significant),
    ``reduction_factor``, ``n`` rows fitted, ``rows``, ``notes``; and the robustness checks:
    ``methods``, ``tests`` and others.

    Raises UserError for an unknown choice, for fewer than three dated rows that can be fitted,
    and for several sets with none selected; the message then lists them as command-line options.

    Source: Hernandez & Brown 2020, arXiv:2005.04305; docs/numbers.md, sections 4 and 5.
    """
    from efficiency_bench.fitting.fit import fit as fit_selected
    from efficiency_bench.fitting.groups import Selection

    selection = Selection(
        data=data,
        target=target,
        tier=tier,
        estimand=estimand,
        until=until,
        axis=axis,
        recipe=recipe,
        model=model,
    )
    return fit_selected(
        entries,
        selection,
        method=method,
        variant=variant,
        crossing=crossing,
        currency=currency,
        hardware=hardware,
    )


__all__ = ["Stopped", "UserError", "__version__", "crossing", "fit", "ledger", "train"]
