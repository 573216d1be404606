"""Mirrors a run's event log to Weights & Biases: the side of the training process.

The run only queues events; a thread passes them to a separate process (``wandb_process.py``),
which is killed if it does not finish in time.  Whatever happens to it, the run continues and its
event log is complete.
"""

from __future__ import annotations

import contextlib
import json
import netrc
import os
import queue
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from efficiency_bench.config import RunConfig
from efficiency_bench.files import open_own
from efficiency_bench.ledger.history import Event
from efficiency_bench.records import Entry

CLOSE_TIMEOUT_SECONDS = 20.0
"""The longest time that the end of a run waits for the mirror."""

KEY_VARIABLES = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
PROCESS = (sys.executable, "-P", "-m", "efficiency_bench.tracking.wandb_process")


def mode() -> str:
    """``WANDB_MODE`` if set; else online if there is an API key, else offline."""
    if chosen := os.environ.get("WANDB_MODE"):
        return chosen
    return "online" if has_key() else "offline"


def has_key() -> bool:
    """Whether the environment or netrc has a key for wandb; the key itself is not used."""
    if any(os.environ.get(name) for name in KEY_VARIABLES):
        return True
    try:
        host = os.environ.get("WANDB_BASE_URL", "api.wandb.ai").split("//")[-1].split("/")[0]
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


@dataclass
class Session:
    """State shared by the runs of one command, so that a failed server is tried only once."""

    say: Callable[[str], None]
    mode: str = field(default_factory=mode)
    printed: set[str] = field(default_factory=set)

    def tell(self, text: str, hint: str) -> None:
        """Print ``text`` with what to type, each once per session."""
        if text not in self.printed:
            self.say(text if hint in self.printed else f"{text}; {hint}")
            self.printed |= {text, hint}


class WandbMirror:
    """Receives events as they are written and passes them to a separate process."""

    def __init__(
        self,
        project: str,
        group: str | None,
        folder: Path,
        session: Session,
        upload_later: str,
        wait_seconds: float = CLOSE_TIMEOUT_SECONDS,
        alerts: bool = False,
    ) -> None:
        """``folder`` is for wandb's files; ``upload_later`` is the command that uploads the run.

        ``alerts``: W&B notifies its users when the run arrives, fails or is preempted.
        """
        self.project = project
        self.group = group
        self.folder = folder
        self.session = session
        self.upload_later = upload_later
        self.wait_seconds = wait_seconds
        self.alerts = alerts
        self.failure: str | None = None
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="wandb mirror", daemon=True)
        self._process: subprocess.Popen[str] | None = None
        self._starting = threading.Lock()
        self._given_up = False

    def __call__(self, event: Event) -> None:
        """Queue one event; returns at once."""
        if self.session.mode == "disabled":
            return
        if self._thread.ident is None:
            self._thread.start()
        self._events.put(event)

    def close(self) -> None:
        """Wait for the mirror up to its time limit; a failure is printed, not raised."""
        if self._thread.ident is None:
            return
        self._events.put(None)
        self._thread.join(self.wait_seconds)
        if self._thread.is_alive():
            with self._starting:
                self._given_up = True
                if self._process is not None:
                    self._process.kill()  # wandb's own process watches it and exits with it
            self._thread.join()
        if self.failure is not None:
            if self.session.mode == "online":
                self.session.mode = "offline"  # the next run of this command need not wait
            self._say(f"W&B mirror incomplete: {self.failure}; the event log is complete")
        elif self.session.mode == "offline" and not self.session.printed:
            self._say("W&B recorded offline")

    def _say(self, what: str) -> None:
        self.session.tell(what, f"upload later: {self.upload_later}")

    def _work(self) -> None:
        """Thread body: open the run, pass on every event, and wait for the result."""
        try:
            start = self._events.get()
            if start is None or not self._opened(start):
                return
            with contextlib.suppress(BrokenPipeError):  # the process has ended and reported why
                while (event := self._events.get()) is not None:
                    self._send(event)
                self._send(None)
            self._replied("finished")
        except OSError as error:  # the folder or the process could not be created
            self.failure = str(error)
        finally:
            self._reap()

    def _opened(self, start: Event) -> bool:
        """Start a process that opens the run; if online fails, another one offline."""
        self._begin(start)
        if self._replied("opened"):
            return True
        self._reap()
        if self.session.mode == "offline" or self._given_up:
            return False
        self.session.mode = "offline"
        self._say(f"W&B does not respond: {self.failure}; recording offline")
        self.failure = None
        self._begin(start)
        return self._replied("opened")

    def _begin(self, start: Event) -> None:
        """Start a process; its stderr goes to a file in wandb's folder."""
        settings = {
            "project": self.project,
            "group": self.group,
            "folder": str(self.folder.absolute()),
            "mode": self.session.mode,
            "wait_seconds": self.wait_seconds,
            "alerts": self.alerts,
            "watched_process": os.getpid(),
        }
        log = self.folder / "wandb" / "mirror.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with self._starting, open(log, "a", opener=open_own) as stderr:
            if self._given_up:
                return
            self._process = subprocess.Popen(
                PROCESS,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=_environment(self.folder),
                start_new_session=True,  # Ctrl-C is for the run alone
            )
        with contextlib.suppress(BrokenPipeError):
            self._send(settings)
            self._send(start)

    def _send(self, line: Event | None) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        print(json.dumps(line, default=_json_of), file=self._process.stdin, flush=True)

    def _replied(self, word: str) -> bool:
        """Whether the next reply of the process has the key ``word``; if not, keep the failure."""
        reply: dict[str, Any] = {}
        if self._process is not None and self._process.stdout is not None:
            line = self._process.stdout.readline()
            reply = json.loads(line) if line.endswith("\n") else {}
        if word not in reply:
            self.failure = reply.get("failure", f"no answer within {self.wait_seconds:g} s")
        return word in reply

    def _reap(self) -> None:
        """Kill the process if it is still running, and wait for it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.communicate()


def _json_of(entry: Entry) -> dict[str, Any]:
    return entry.model_dump(mode="json")


def _environment(folder: Path) -> dict[str, str]:
    """This process's environment, with wandb's own files in one folder outside the home."""
    aside = str((folder.parent / ".wandb").absolute())
    kept = {"WANDB_DATA_DIR": aside, "WANDB_CACHE_DIR": aside, "WANDB_ERROR_REPORTING": "false"}
    return kept | os.environ


def mirror_of(session: Session, config: RunConfig, folder: Path) -> WandbMirror:
    """The W&B mirror of one run."""
    tracking = config.tracking
    words = ("efficiency-bench", "track", "sync", "--ledger", config.ledger_dir)
    upload_later = shlex.join([*words, "--project", tracking.project])
    return WandbMirror(
        *(tracking.project, tracking.group, folder, session, upload_later), alerts=tracking.alerts
    )
