"""A stand-in for api.wandb.ai on loopback, with as much as wandb's client needs.

W&B's own server needs Docker and a licence.  The client is the real one.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Answers, hangs or fails; keeps the requests that it received."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behaviour: str, fails_after: int) -> None:
        """``behaviour``: answers, errors or hangs; after ``fails_after`` requests, answers fail."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = behaviour
        self.fails_after = fails_after
        self.released = threading.Event()
        self.requests: list[str] = []
        self.rows: list[dict[str, Any]] = []
        self.runs: dict[str, dict[str, Any]] = {}

    def streamed(self) -> list[str]:
        """The requests that carried rows of a run, failed or not."""
        return [path for path in self.requests if path.endswith("/file_stream")]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a client that was killed
            super().handle()

    def do_GET(self) -> None:
        self.answer(b"")

    do_PUT = do_GET  # noqa: N815

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.answer(body)

    def answer(self, body: bytes) -> None:
        server = self.server
        server.requests.append(self.path)
        failing = len(server.requests) > server.fails_after
        if server.behaviour == "hangs":
            server.released.wait()
            self.close_connection = True
        elif server.behaviour == "errors" or failing:
            self.send(500, {"errors": [{"message": "out of order"}]})
        elif self.path.endswith("/graphql"):
            self.send(200, self.graphql(json.loads(body)))
        elif self.path.endswith("/file_stream"):
            self.take_rows(json.loads(body))
            self.send(200, {})
        else:
            self.send(200, {})

    def send(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def take_rows(self, message: dict[str, Any]) -> None:
        history = (message.get("files") or {}).get("wandb-history.jsonl")
        if history:
            self.server.rows += [json.loads(line) for line in history["content"]]

    def graphql(self, message: dict[str, Any]) -> dict[str, Any]:
        variables = message.get("variables") or {}
        run = self.server.runs.get(variables.get("name", ""))
        entity = {"id": "e", "name": "someone"}
        project = {"id": "p", "name": "project", "entity": entity}
        if "upsertBucket" in message["query"]:
            run = self.server.runs.setdefault(variables["name"], {})
            run |= {k: v for k, v in variables.items() if v is not None}
            bucket = {"id": "r", "name": variables["name"], "displayName": "d", "project": project}
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        if "RunResumeStatus" in message["query"]:
            bucket = None if run is None else self.resume_status(run)
            return {"data": {"model": {**project, "bucket": bucket}}}
        if "viewer" in message["query"]:
            viewer = {"id": "u", "username": "someone", "entity": "someone", "flags": "{}"}
            return {"data": {"viewer": viewer}}
        if "createRunFiles" in message["query"]:
            files = [
                {"name": name, "uploadUrl": f"{self.server.url}/storage"}
                for name in variables["files"]
            ]
            return {"data": {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}}
        if "artifact(" in message["query"] and "mutation" not in message["query"]:
            return {"data": {"project": {"artifact": None}}}
        return {"errors": [{"message": "not known here"}]}

    def resume_status(self, run: dict[str, Any]) -> dict[str, Any]:
        """What an unfinished run has uploaded so far."""
        rows = self.server.rows
        return {
            "id": "r",
            "name": run["name"],
            "displayName": "d",
            "historyLineCount": len(rows),
            "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]]),
            "summaryMetrics": json.dumps(rows[-1] if rows else {}),
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "logLineCount": 0,
            "config": run.get("config", "{}"),
            "tags": [],
            # without it, the client assumes that no run has started
            "wandbConfig": json.dumps({"t": 1}),
        }


@contextmanager
def serving(behaviour: str, fails_after: int = 10**9) -> Iterator[Server]:
    """A server that runs during the ``with`` block."""
    server = Server(behaviour, fails_after)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
