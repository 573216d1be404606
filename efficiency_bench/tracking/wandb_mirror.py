"""Weights & Biases as a mirror of a run's event log.

wandb is imported here and nowhere else, and used from one background thread: whatever it does
(hang, raise, lose the network), the run goes on and its event log holds everything.
"""

from __future__ import annotations

import json
import logging
import netrc
import os
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

Event = Mapping[str, Any]

INIT_TIMEOUT_SECONDS = 20
"""wandb's own default of 90 s would hold the first curves back for as long."""

CLOSE_TIMEOUT_SECONDS = 20
"""How long the end of a run waits for the mirror; then it goes on without."""

CURVES = ("top1", "top5", "validation_loss", "train_loss", "epochs", "steps")
X_AXES = ("images", "paper3x_tfs_days", "train_seconds")


def mode() -> str:
    """``WANDB_MODE`` where it is set; else online with a key at hand and offline without."""
    if chosen := os.environ.get("WANDB_MODE"):
        return chosen
    return "online" if has_key() else "offline"


def has_key() -> bool:
    """Whether WANDB_API_KEY or a netrc entry would let wandb log in; the key is not read."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        host = os.environ.get("WANDB_BASE_URL", "api.wandb.ai").split("//")[-1].split("/")[0]
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class WandbMirror:
    """Takes events as they are written and passes them on from a thread of its own."""

    def __init__(self, project: str, group: str | None, folder: Path) -> None:
        self.project = project
        self.group = group
        self.folder = folder
        self.mode = mode()
        self.failure: str | None = None
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        """Queue one event; returns at once."""
        if self.mode == "disabled":
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)
            self._thread.start()
        self._events.put(event)

    def close(self) -> None:
        """Let the mirror finish, for a while; what it could not do is said, not raised."""
        if self._thread is None:
            return
        self._events.put(None)
        self._thread.join(CLOSE_TIMEOUT_SECONDS)
        if self._thread.is_alive():
            self.failure = f"no answer for {CLOSE_TIMEOUT_SECONDS} s"
        self._thread = None
        if self.failure is not None:
            log.warning("W&B mirror incomplete: %s; the event log is whole", self.failure)

    def _work(self) -> None:
        run: Any = None
        latest: dict[str, Any] = {}
        try:
            while (event := self._events.get()) is not None:
                if event["event"] == "start":
                    run = self._begin(event)
                elif run is not None:
                    self._pass_on(run, event, latest)
            if run is not None:
                run.finish()
        except Exception as error:  # whatever wandb raises must not reach the run
            self.failure = f"{type(error).__name__}: {error}".splitlines()[0]

    def _begin(self, start: Event) -> Any:
        """Open the run; without an answer online it is opened offline."""
        aside = self.folder.parent / ".wandb"
        for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
            os.environ.setdefault(name, str(aside.absolute()))
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        try:
            return self._init(wandb, start, self.mode)
        except wandb.errors.Error as error:
            log.warning("W&B is offline for this run: %s", str(error).splitlines()[0])
            self.mode = "offline"
            return self._init(wandb, start, "offline")

    def _init(self, wandb: Any, start: Event, chosen: str) -> Any:
        experiment = start["experiment"] or f"{start['model']}-{start['recipe']}"
        settings = wandb.Settings(
            init_timeout=INIT_TIMEOUT_SECONDS,
            console="off",
            silent=True,
            disable_git=True,
            x_disable_meta=True,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project=self.project,
            group=self.group,
            name=f"{experiment} seed {start['seed']}",
            id=start["run_id"],
            resume="allow",
            tags=[experiment, start["data"], start["recipe"]],
            config={**start["config"], "target": start["target"], "counts": start["counts"]},
            dir=str(self.folder),
            mode=chosen,
            reinit="create_new",
            settings=settings,
        )
        for curve in CURVES:
            run.define_metric(curve, step_metric="images")
        return run

    def _pass_on(self, run: Any, event: Event, latest: dict[str, Any]) -> None:
        match event["event"]:
            case "progress":
                latest.update({axis: event[axis] for axis in X_AXES})
                run.log(latest | {"train_loss": event["loss"], "epochs": event["epochs"]})
            case "evaluation":
                values = {key: event[key] for key in ("top1", "top5", "epochs", "steps")}
                run.log(latest | values | {"validation_loss": event["loss"]})
            case "entry":
                self._end(run, event["entry"])

    def _end(self, run: Any, entry: Event) -> None:
        """The crossing and the account into the summary, the entry as an artifact."""
        import wandb

        plain = {k: v for k, v in entry.items() if isinstance(v, str | int | float | bool)}
        run.summary.update(plain)
        artifact = wandb.Artifact(f"entry-{entry['run_id']}", type="ledger-entry")
        with artifact.new_file("entry.json", encoding="utf-8") as file:
            json.dump(entry, file, indent=2)
        run.log_artifact(artifact)
