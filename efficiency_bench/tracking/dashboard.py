"""Builds a W&B workspace: the run table, and accuracy against compute, images, epochs, seconds.

wandb-workspaces is imported here and nowhere else.
"""

from __future__ import annotations

import json
from typing import Any

from efficiency_bench.errors import UserError
from efficiency_bench.tracking.wandb_process import AXES, COLUMNS

NAME = "Compute to accuracy"

AXIS_TITLES = {
    "paper3x_tfs_days": "training compute, tfs-days (3 x forward MACs)",
    "images": "training images",
    "epochs": "epochs",
    "train_seconds": "training time, s",
}

RANDOM_KEYS = ("__id__", "id", "viewId", "ref")
"""Random ids of panels, sections and views."""


def workspace(entity: str, project: str) -> Any:
    """The unsaved workspace of ``project``; UserError if wandb-workspaces is not installed."""
    ws, wr = _library()
    curves = [
        wr.LinePlot(
            title=f"top-1 against {AXIS_TITLES[axis]}",
            x=axis,
            y=["top1"],
            log_x=axis == AXES[0],
            title_x=AXIS_TITLES[axis],
            title_y="top-1, fraction",
            smoothing_type="none",  # show accuracies as measured
        )
        for axis in AXES
    ]
    losses = [
        wr.LinePlot(title=name, x=AXES[0], y=[name], log_x=True, smoothing_type="none")
        for name in ("top5", "validation_loss", "train_loss")
    ]
    reached = wr.BarPlot(
        title="compute to the target, tfs-days",
        metrics=[wr.SummaryMetric("paper3x_to_target_tfs_days")],
    )
    crossings = wr.BarPlot(
        title="epochs to the target", metrics=[wr.SummaryMetric("sustained_crossing_epochs")]
    )
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=[
            ws.Section(name="Accuracy", panels=curves, is_open=True),
            ws.Section(name="To the target", panels=[reached, crossings], is_open=True),
            ws.Section(name="Losses", panels=losses, is_open=False),
        ],
        settings=ws.WorkspaceSettings(x_axis=AXES[0], max_runs=100),
        runset_settings=ws.RunsetSettings(
            groupby=[ws.Metric("Group"), ws.Summary("model")],
            pinned_columns=[f"summary:{name}" for name in COLUMNS],
        ),
    )


def as_json(built: Any) -> dict[str, Any]:
    """The workspace as JSON values, without random ids."""
    plain = json.loads(built._to_model().model_dump_json())
    without: dict[str, Any] = _without_ids(plain)
    return without


def save(built: Any) -> str:
    """Save the workspace and return its URL; UserError if W&B rejects it."""
    try:
        return str(built.save().url)
    except Exception as error:  # the library raises whatever its client raises
        raise UserError(
            f"W&B rejected the workspace: {type(error).__name__}:"
            f" {str(error).splitlines()[0] if str(error) else 'no reason given'}\n"
            "set WANDB_API_KEY or run `wandb login`, and name a --project that has runs"
        ) from error


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_ids(v) for k, v in value.items() if k not in RANDOM_KEYS}
    return [_without_ids(item) for item in value] if isinstance(value, list) else value


def _library() -> tuple[Any, Any]:
    try:
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
    except ImportError as error:
        raise UserError(
            f"a dashboard needs wandb-workspaces, which is not installed ({error});"
            " `track sync` works without\ninstall it: pip install wandb-workspaces"
        ) from error
    return workspaces, reports
