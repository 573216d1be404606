"""An entry as one row of ``ledger list``."""

from __future__ import annotations

from typing import Any

from efficiency_bench.ledger.costs import COSTS
from efficiency_bench.records import Entry

ENTRY_FIELDS = (
    "run_id",
    "experiment",
    "model",
    "recipe",
    "data",
    "seed",
    "tier",
    "end_reason",
    "reached",
    "target",
    "images",
    "epochs",
    "steps",
    "forward_macs",
    "paper3x_tfs_days",
    "exact_flops",
    "paper3x_to_target_tfs_days",
    "first_crossing_epochs",
    "sustained_crossing_epochs",
    "first_epoch_at_target",
    "weights_digest",
    "date",
    "source",
)
"""Listed fields that the entry has itself."""

ROW_FIELDS = (*ENTRY_FIELDS, *COSTS)
"""The keys of ``ledger list --json``, fixed for other people's scripts, in their order."""


def row(entry: Entry) -> dict[str, Any]:
    """The entry's listed fields, JSON values only; of the target its metric and value."""
    fields = {name: getattr(entry, name) for name in ENTRY_FIELDS}
    fields["target"] = {"metric": entry.target.metric, "value": entry.target.value}
    return fields | {name: value(entry) for name, value in COSTS.items()}
