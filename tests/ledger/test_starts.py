"""Read a run's start event from the log in the ledger, if there is one."""

import gzip
import json

from efficiency_bench.ledger.kept_log import start_event
from efficiency_bench.ledger.store import append, log_path
from tests.ledger.factory import make_entry


def test_the_first_line_is_the_start(tmp_path):
    log = tmp_path / "log"
    log.write_text(json.dumps({"event": "start", "suite": "card"}) + "\n" + "not JSON\n")
    append(tmp_path / "ledger", make_entry("run"), log)
    assert start_event(tmp_path / "ledger", "run") == {"event": "start", "suite": "card"}


def test_a_missing_truncated_or_invalid_log_has_no_start(tmp_path):
    assert start_event(tmp_path, "run") is None
    path = log_path(tmp_path, "run")
    path.parent.mkdir()
    whole = gzip.compress(b'{"event": "start"}\n' * 1000)
    for content in (whole[:20], b"plain", gzip.compress(b"[1]\n"), gzip.compress(b"\xff\n")):
        path.write_bytes(content)
        assert start_event(tmp_path, "run") is None
