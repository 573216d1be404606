"""One run with its progress on the terminal and its mirrors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from efficiency_bench.campaign.stopping import Stop
from efficiency_bench.config import RunConfig
from efficiency_bench.report.progress import RunProgress, ending_line
from efficiency_bench.tracking.wandb_mirror import WandbMirror

if TYPE_CHECKING:
    from efficiency_bench.campaign.run import Mirror, Outcome


def shown(
    config: RunConfig,
    console: Console,
    stop: Stop,
    place: tuple[int, int] = (1, 1),
    begins: Callable[[Path], None] = lambda folder: None,
) -> Outcome:
    """Train ``config``, or take it up again; ``place`` is its number, from 1, of the total.

    ``begins`` is told the run's folder before the first step.  Raises UserError.
    """
    from efficiency_bench.campaign.run import run  # torch: a mistake is told before its seconds

    progress = RunProgress(console, *place)

    def mirrors(folder: Path) -> Iterator[Mirror]:
        begins(folder)
        yield progress
        if config.tracking.wandb:
            yield WandbMirror(config.tracking.project, config.tracking.group, folder)

    outcome = run(config, mirrors, stop_requested=lambda: bool(stop))
    if outcome.already_finished and outcome.entry is not None:
        entry = outcome.entry.model_dump(mode="json")
        console.print(f"finished before, in the ledger as {entry['run_id']}:", highlight=False)
        console.print(ending_line(entry), highlight=False)
    return outcome
