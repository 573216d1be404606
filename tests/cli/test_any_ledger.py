"""Damage in any field of an entry, event log or sweep manifest, for every verb that reads it.

No damage stops a verb: it names the file that it cannot read and reads the others.
"""

import contextlib
import gzip
import io
import json
import os
import shutil
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from efficiency_bench.cli import app
from efficiency_bench.errors import UserError
from efficiency_bench.sweep import manifest
from tests.ledger.forging import replaced
from tests.ledger.recorded import LEDGER as RECORDED
from tests.ledger.recorded import REACHED
from tests.small_ledger import CORNERS
from tests.tiny import composed

ANYTIME = ("--estimand", "anytime")
VERBS = (
    ("ledger", "list", "--ledger", "LEDGER", "--json"),
    ("ledger", "list", "--ledger", "LEDGER"),
    ("ledger", "show", "RUN", "--ledger", "LEDGER"),
    ("ledger", "costs", "--ledger", "LEDGER", "--json"),
    ("ledger", "costs", "--ledger", "LEDGER"),
    ("ledger", "crossings", "--ledger", "LEDGER"),
    ("ledger", "export", "--ledger", "LEDGER"),
    ("ledger", "export", "--ledger", "LEDGER", "--format", "openai"),
    ("fit", "LEDGER", *ANYTIME),
    ("fit", "LEDGER", "--json"),
    ("fit", "LEDGER", *ANYTIME, "--currency", "exact", "--json"),
    ("fit", "LEDGER", *ANYTIME, "--currency", "seconds", "--variant", "all"),
    ("fit", "LEDGER", *ANYTIME, "--sweep", "0.4:0.6"),
    ("conventions", "LEDGER", *ANYTIME),
    ("conventions", "LEDGER", *ANYTIME, "--json"),
    ("decompose", "LEDGER", *ANYTIME),
    ("decompose", "LEDGER", *ANYTIME, "--at", "0.5", *CORNERS),
    ("verify", "RUN", "--ledger", "LEDGER", "--json"),
    ("verify", "RUN", "--ledger", "LEDGER"),
)


class Raw:
    """Text that is written to the file as it is, valid JSON or not."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text[:40]


STRANGE = (
    *(Raw("1e400"), Raw("-Infinity"), Raw("NaN"), Raw("1" + "0" * 400), Raw('"\\ud800"')),
    *(Raw("[" * 300 + "]" * 300), Raw("[" * 30 + "]" * 30), Raw("{"), Raw("")),
    *(5e-324, 1e-99, 1e99, 1e15, 10**15, 2**63, 0, 0.0, -1, 1, 2, 0.5, True, None, [], {}),
    *("", "[/red]", "[bold]", "\x1b[31m", "=1+1", "a\nb", "../../x", "x" * 3000, "${oc.env:HOME}"),
    *("2015-02-30", "9999-12-31", "0001-01-01", "1950-01-01", "2199-12-31", "nan"),
    *("published", "imported", "failed", "schedule", "own_schedule", "budgeted", "top5"),
)
VALUES = st.one_of(
    st.sampled_from(STRANGE),
    st.recursive(
        st.one_of(st.floats(), st.integers(), st.text(max_size=8), st.none(), st.booleans()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
        ),
        max_leaves=5,
    ),
)


def places(value, path=()):
    """Return the paths of all values in a JSON document, except the root."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in inner:
        yield (*path, name)
        if isinstance(item, dict | list):
            yield from places(item, (*path, name))


def damaged(content, path, value):
    """JSON text of ``content`` with another value at ``path``."""
    content = json.loads(json.dumps(content))
    inner = content
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = "HERE" if isinstance(value, Raw) else value
    text = json.dumps(content)
    return text.replace('"HERE"', value.text) if isinstance(value, Raw) else text


def a_damage(data, content):
    """JSON text of ``content``, damaged somewhere: near the top half of the time."""
    path = data.draw(st.sampled_from(list(places(content))), "place")
    depth = data.draw(st.sampled_from([1, 2, len(path), len(path)]), "depth")
    return damaged(content, path[:depth], data.draw(VALUES, "value"))


def typed(*arguments):
    """Return what a verb prints; it must exit normally or with a user error."""
    out, err = io.StringIO(), io.StringIO()
    ended = contextlib.suppress(typer.Exit, UserError)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), ended:
        app(list(arguments), standalone_mode=False)
    for text in (out.getvalue(), err.getvalue()):
        text.encode()  # a terminal takes no half characters
    if "--json" in arguments and out.getvalue():
        json.loads(out.getvalue(), parse_constant=pytest.fail)
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def ledger(small_ledger, tmp_path_factory):
    return shutil.copytree(small_ledger.folder, tmp_path_factory.mktemp("any") / "ledger")


def runs_of(ledger):
    return sorted(path.stem for path in ledger.glob("*.json"))


def fuzz(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def with_names(verb, ledger, run):
    return [{"LEDGER": str(ledger), "RUN": run}.get(word, word) for word in verb]


def damaged_entries(data, ledger):
    """Up to three entries, each with a damage: path -> bytes."""
    runs = data.draw(
        st.lists(st.sampled_from(runs_of(ledger)), min_size=1, max_size=3, unique=True), "runs"
    )
    return {
        path: a_damage(data, json.loads(path.read_text())).encode("utf-8", "surrogatepass")
        for path in (ledger / f"{run}.json" for run in runs)
    }


@fuzz(40)
@given(st.data())
def test_no_damaged_entry_stops_a_verb(ledger, data):
    runs = runs_of(ledger)
    files = damaged_entries(data, ledger)
    verbs = st.lists(st.sampled_from(VERBS[1:]), min_size=4, max_size=4, unique=True)
    with replaced(files):
        listed, told = typed(*with_names(VERBS[0], ledger, ""))
        found = {row["run_id"] for row in json.loads(listed)}
        for run in runs:
            path = ledger / f"{run}.json"
            assert run in found or str(path) in told, "read, or named"
            assert run in found or path in files, "the others are read"
        for verb in data.draw(verbs, "verbs"):
            typed(*with_names(verb, ledger, next(iter(files)).stem))


@fuzz(3)
@given(st.data())
def test_no_damaged_entry_stops_the_report(ledger, tmp_path, data):
    with replaced(damaged_entries(data, ledger)):
        typed("report", "--ledger", str(ledger), "--out", str(tmp_path / "page"))
    assert (tmp_path / "page" / "index.html").is_file()


@fuzz(40)
@given(st.data())
def test_no_damaged_log_stops_verify(ledger, data):
    run = data.draw(st.sampled_from(runs_of(ledger)))
    path = ledger / "events" / f"{run}.jsonl.gz"
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    at = data.draw(st.sampled_from([0, 0, 0, *range(len(lines))]), "line")
    lines[at] = a_damage(data, lines[at])
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    with replaced({path: gzip.compress(text.encode("utf-8", "surrogatepass"), 1)}):
        (row,) = json.loads(typed("verify", run, "--ledger", str(ledger), "--json")[0])
    assert row["verdict"] == "failed"


@pytest.mark.parametrize("name", [b"a b", b"[red]", b"\xff\xfe", b"=1", b"x\ny"])
def test_no_file_name_stops_a_verb(ledger, name):
    path = ledger / os.fsdecode(name + b".json")
    run = runs_of(ledger)[0]
    content = json.loads((ledger / f"{run}.json").read_text())
    path.write_text(json.dumps({**content, "run_id": path.stem}))
    try:
        for verb in (*VERBS, ("verify", "--ledger", "LEDGER")):
            _, told = typed(*with_names(verb, ledger, run))
            if verb[0] in ("fit", "conventions", "decompose"):
                # half a character cannot stand in the file's JSON either
                assert "cannot name a file" in told or "surrogate" in told
    finally:
        path.unlink()


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A sweep of one run whose folder has its event log and its entry; nothing is trained."""
    monkeypatch.chdir(tmp_path)
    config = composed("experiment=resnet18", "data=digits", "run_dir=run", "ledger_dir=ledger")
    written = manifest.planned([(config, ["seed=0"])], "train")
    manifest.write(written)
    manifest.write_note(written.folder, 1, manifest.RunNote(run_dir="run"))
    (tmp_path / "run").mkdir()
    shutil.copy(RECORDED / f"{REACHED}.json", tmp_path / "run" / "entry.json")
    packed = (RECORDED / "events" / f"{REACHED}.jsonl.gz").read_bytes()
    (tmp_path / "run" / "events.jsonl").write_bytes(gzip.decompress(packed))
    return written.folder


RECORDS = ("sweep.json", "1.json", "entry.json", "events.jsonl")


@fuzz(60)
@given(st.data())
def test_no_damaged_manifest_stops_status(sweep, data):
    run = Path("run")
    record = data.draw(st.sampled_from(RECORDS), "record")
    path = (sweep if record in ("sweep.json", "1.json") else run) / record
    log, entry = (run / "events.jsonl").read_text(), (run / "entry.json").read_bytes()
    if record == "events.jsonl":
        lines = log.splitlines()[:-1]  # it has not ended
        at = data.draw(st.sampled_from([0, *range(len(lines))]), "line")
        lines[at] = a_damage(data, json.loads(lines[at]))
        text = "\n".join(lines) + "\n"
    else:
        text = a_damage(data, json.loads(path.read_text()))
    with replaced({path: text.encode("utf-8", "surrogatepass")}):
        if record == "events.jsonl":
            (run / "entry.json").unlink()
        try:
            typed("status", "--json")
            typed("status")
        finally:
            (run / "entry.json").write_bytes(entry)


@pytest.mark.parametrize("kind", ["start", "progress", "evaluation"])
def test_no_damaged_field_of_a_log_stops_status(sweep, kind):
    """Each field of an event of that kind taken out, or of another type."""
    path = Path("run/events.jsonl")
    Path("run/entry.json").unlink()
    events = [json.loads(line) for line in path.read_text().splitlines()]
    kinds = [event["event"] for event in events]
    short = [events[kinds.index(name)] for name in ("start", "progress", "evaluation")]
    at = [event["event"] for event in short].index(kind)
    for name in short[at]:
        for value in (Raw("absent"), "x", None, 1e99):
            edited = {**short[at], name: value}
            if isinstance(value, Raw):
                del edited[name]
            lines = [*short[:at], edited, *short[at + 1 :]]
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            (row,) = json.loads(typed("status", "--json")[0])["runs"]
            assert row["state"] in ("preempted", "failed")
            typed("status")


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_a_manifest_that_is_not_a_regular_file_does_not_stop_status(sweep, record, kind):
    path = (sweep if record in ("sweep.json", "1.json") else Path("run")) / record
    path.unlink()
    if record == "events.jsonl":
        Path("run/entry.json").unlink()
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    typed("status", "--json")
    typed("status")
