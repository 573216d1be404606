"""Verify really trained ledgers, and catch every edit that changes a number in them."""

import copy
import gzip
import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from efficiency_bench.ledger import store
from efficiency_bench.ledger.store import with_entry_digest
from efficiency_bench.records import Entry
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.run.run import run
from efficiency_bench.verify import LedgerIndex, verify
from tests.ledger.factory import make_entry
from tests.ledger.forging import Forgery, chained, replaced
from tests.once import own_copy
from tests.tiny import tiny

RUNS = {
    "baseline": ("experiment=alexnet", "recipe.epochs=8", "recipe.batch_size=16"),
    "reached": ("experiment=resnet18", "recipe.epochs=6", "recipe.batch_size=16"),
    "grown": (
        "model=resnet18",
        "recipe=small_modern",
        "recipe.epochs=4",
        "recipe.progressive.start_fraction=0.5",
        "recipe.progressive.until=0.7",
        "recipe.progressive.stages=3",
        "target.value=0.999",
    ),
    "diverged": (
        "experiment=resnet18",
        "recipe.epochs=2",
        "recipe.optimizer.lr=1e30",
        "target.value=0.9",
    ),
}
NOT_DERIVABLE = {("progress", "loss"), ("progress", "train_seconds")}
"""Numbers of a log that nothing else implies: losses, and times, which only must not decrease."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """Four endings: baseline, target reached, missed with progressive resizing, diverged."""
    folder = own_copy(tmp_path_factory, "verified", train)
    entries = store.read(folder / "ledger").entries
    assert {e.end_reason for e in entries} >= {"schedule", "target", "diverged"}
    assert any(len(e.segments) == 3 for e in entries)
    return folder / "ledger"


def train(folder):
    for name, options in RUNS.items():
        size = "data.train_images=600" if name in ("baseline", "reached") else "seed=3"
        run(tiny(folder, *options, size, f"run_dir={folder / name}"))


@pytest.fixture(scope="module")
def originals(ledger):
    return {path.stem: path.read_bytes() for path in ledger.glob("*.json")}


@pytest.fixture
def copied(ledger, tmp_path):
    """Return a copy of the ledger as in a clone, without the run folders."""
    return Path(shutil.copytree(ledger, tmp_path / "ledger"))


def rules(results):
    return {failure.rule.partition(":")[0] for result in results for failure in result.failures}


def test_trained_entries_are_verified(ledger):
    results = verify_ledger(str(ledger), None, None)
    assert [r.failures for r in results] == [()] * len(RUNS)
    assert [r.skipped for r in results] == [()] * len(RUNS), "digits are always available"


def test_a_ledger_without_run_folders_is_verified(copied):
    results = verify_ledger(str(copied), None, None)
    assert all(result.ok for result in results)


def test_the_log_in_the_run_folder_is_checked_too(ledger):
    log = ledger.parent / "reached" / "events.jsonl"
    before = log.read_text()
    try:
        log.write_text(before.replace('"top1": 0.', '"top1": 0.9', 1))
        results = verify_ledger(str(ledger), None, None)
        assert rules(results) == {"event log"}
        assert sum(not r.ok for r in results) == 1
    finally:
        log.write_text(before)


def test_a_check_of_unavailable_data_is_skipped(copied, monkeypatch):
    path, content = next(iter((p, json.loads(p.read_text())) for p in copied.glob("*.json")))
    content["config"]["data"]["name"] = content["data"] = "cifar10"
    path.write_text(json.dumps(content))
    (result,) = verify_ledger(str(copied), path.stem, copied / "nowhere")
    assert any(s.rule == "data" and "not at hand" in s.reason for s in result.skipped)


def test_other_data_under_the_same_name_is_found(copied, monkeypatch):
    from efficiency_bench.reproducibility import data_and_counts

    data_and_counts.data_facts.cache_clear()
    monkeypatch.setattr(data_and_counts, "data_facts", lambda data, root: ("0" * 64, 600, 100, 10))
    assert "data" in rules(verify_ledger(str(copied), None, None))


def test_a_network_with_other_counts_is_found(copied, monkeypatch):
    from efficiency_bench.reproducibility import data_and_counts

    wrong = {"forward_macs": 1, "first_layer_macs": 1, "backward_macs": 1}
    monkeypatch.setattr(
        data_and_counts, "counts", lambda config, classes, sides: (1, dict.fromkeys(sides, wrong))
    )
    assert "counts" in rules(verify_ledger(str(copied), None, None))


def test_other_parameters_are_found_by_building_the_network_again(ledger, tmp_path):
    entry = store.read(ledger).entries[0]
    forgery = Forgery(ledger, entry.run_id)
    forgery.both("parameters", entry.parameters + 1)
    forgery.write(tmp_path)
    (result,) = verify_ledger(str(tmp_path), None, None)
    assert [failure.rule for failure in result.failures] == ["counts: parameters"]


def test_a_run_from_before_parameters_were_recorded_is_verified(ledger, tmp_path):
    entry = store.read(ledger).entries[0]
    forgery = Forgery(ledger, entry.run_id)
    forgery.without("parameters")
    forgery.write(tmp_path)
    (result,) = verify_ledger(str(tmp_path), None, None)
    assert result.ok


def test_a_network_that_differs_from_the_repository_is_not_confirmed(copied, monkeypatch):
    from efficiency_bench.reproducibility import data_and_counts

    wrong = {"forward_macs": 1, "first_layer_macs": 1, "backward_macs": 1}
    monkeypatch.setattr(
        data_and_counts, "counts", lambda config, classes, sides: (1, dict.fromkeys(sides, wrong))
    )
    monkeypatch.setattr(data_and_counts, "older_network", lambda entry: "c" * 40)
    results = verify_ledger(str(copied), None, None)
    assert [result.verdict for result in results] == ["not confirmed"] * len(RUNS)
    for result in results:
        (left,) = result.unconfirmed
        assert f"git checkout {'c' * 40}" in left.reason


@pytest.mark.parametrize(
    ("name", "value"), [("classes", 10**9), ("counts", {"5000": {}}), ("counts", {})]
)
def test_a_network_too_large_for_the_machine_is_not_counted(ledger, tmp_path, name, value):
    entry = store.read(ledger).entries[0]
    forgery = Forgery(ledger, entry.run_id)
    forgery.start[name] = value
    forgery.write(tmp_path)
    (result,) = verify_ledger(str(tmp_path), None, None)
    assert not result.ok
    if value:
        assert any("are counted" in left.reason for left in result.unconfirmed)


def test_other_code_is_a_note(copied, monkeypatch):
    from efficiency_bench import provenance

    monkeypatch.setattr(provenance, "code_digest", lambda: "f" * 64)
    results = verify_ledger(str(copied), None, None)
    assert all(r.ok and any(n.rule == "code" for n in r.notes) for r in results)


def test_a_run_copied_under_another_seed_is_found(copied):
    path = sorted(copied.glob("*.json"))[0]
    entry = Entry.model_validate_json(path.read_text())
    twin = with_entry_digest(
        entry.model_copy(update={"seed": 17, "run_id": f"{entry.run_id}-twin"})
    )
    log = copied / "events" / f"{entry.run_id}.jsonl.gz"
    shutil.copy(log, copied / "events" / f"{twin.run_id}.jsonl.gz")
    store.append(copied, twin)
    assert {"run id", "distinct runs", "names"} <= rules(verify_ledger(str(copied), None, None))


def test_one_seed_on_two_devices_is_one_sample_of_its_row():
    def trained_on(device, **settings):
        config = {"recipe": {"epochs": 3.0}, "device": device, **settings}
        return make_entry(device, config=config, config_digest=device.ljust(64, "0"))

    cpu, cuda = trained_on("cpu"), trained_on("cuda", precision="bf16")
    shared = LedgerIndex([cpu, cuda]).sharing(cpu)
    assert [(mark, other.run_id) for mark, other in shared] == [("sample", "cuda")]
    again = cuda.model_copy(update={"repeat": 1})
    assert list(LedgerIndex([cpu, again]).sharing(cpu)) == []
    other_form = trained_on("cuda", form="imagenet")
    assert list(LedgerIndex([cpu, other_form]).sharing(cpu)) == []


def test_a_missing_log_is_a_failure(copied):
    shutil.rmtree(copied / "events")
    results = verify_ledger(str(copied), None, None)
    assert not any(result.ok for result in results)
    assert "event log" in rules(results)


def test_an_invalid_file_fails_under_its_name(copied):
    (copied / "broken.json").write_text("{")
    results = verify_ledger(str(copied), None, None)
    assert [r.run_id for r in results if not r.ok] == ["broken"]


def numbers(value, path=()):
    """Yield the paths of all numbers and booleans in JSON."""
    if isinstance(value, dict):
        return [leaf for key in value for leaf in numbers(value[key], (*path, key))]
    if isinstance(value, list):
        return [leaf for i, item in enumerate(value) for leaf in numbers(item, (*path, i))]
    return [path] if isinstance(value, int | float) else []


def changed(old, data):
    """Draw another value of the same type, from one unit in the last place to the absurd."""
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        new = data.draw(st.sampled_from([old + 1, old - 1, 2 * old + 1, -old - 1, 10**15]))
        return new if new != old else old + 1
    factors = [1 + 1e-6, 1 - 1e-6, 1.5, 0.0, -1.0, 1e9]
    new = old * data.draw(st.sampled_from(factors))
    return new if new != old else old + 0.25


def put(content, path, value):
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return content


def get(content, path):
    for key in path:
        content = content[key]
    return content


fuzz = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def caught(folder, run_id):
    """Return whether verifying the entry in ``folder`` fails, or the entry is unreadable."""
    read = store.read(folder)
    if any(problem.path.stem == run_id for problem in read.problems):
        return True
    return not verify(folder, store.matching(read.entries, run_id), LedgerIndex(read.entries)).ok


@fuzz
@given(st.data())
def test_every_edit_of_a_number_in_an_entry_is_caught(originals, copied, data):
    run_id = data.draw(st.sampled_from(sorted(originals)))
    content = json.loads(originals[run_id])
    path = data.draw(st.sampled_from(numbers(content)))
    old = get(content, path)
    edits = [changed(old, data)]
    if isinstance(old, float):
        edits.append(math.nextafter(old, math.inf))
    for new in edits:
        edited = json.dumps(put(content, path, new)).encode()
        with replaced({copied / f"{run_id}.json": edited}):
            assert caught(copied, run_id), (path, old, new)
    assert not caught(copied, run_id)


@fuzz
@given(st.data())
def test_an_edit_is_caught_even_if_the_entry_digest_is_recomputed(originals, copied, data):
    run_id = data.draw(st.sampled_from(sorted(originals)))
    content = json.loads(originals[run_id])
    path = data.draw(st.sampled_from(numbers(content)))
    old = get(content, path)
    new = changed(old, data)
    edited = put(content, path, new)
    try:
        edited = with_entry_digest(Entry.model_validate(edited)).model_dump(mode="json")
    except ValueError:
        return  # no entry any more: the test above has it
    with replaced({copied / f"{run_id}.json": json.dumps(edited).encode()}):
        assert caught(copied, run_id), (path, old, new)


def edited_log(copied, run_id, data):
    """Return the log's lines with one number changed, and the change: event, path, old, new."""
    content = (copied / "events" / f"{run_id}.jsonl.gz").read_bytes()
    lines = [json.loads(line) for line in gzip.decompress(content).splitlines()]
    at = data.draw(st.sampled_from(range(len(lines))))
    path = data.draw(st.sampled_from(numbers(lines[at])))
    old = get(lines[at], path)
    new = changed(old, data)
    lines[at] = put(lines[at], path, new)
    return lines, (lines[at]["event"], path, old, new)


@fuzz
@given(st.data())
def test_every_edit_of_a_number_in_a_log_is_caught(originals, copied, data):
    run_id = data.draw(st.sampled_from(sorted(originals)))
    lines, edit = edited_log(copied, run_id, data)
    written = "".join(json.dumps(line) + "\n" for line in lines).encode()
    with replaced({copied / "events" / f"{run_id}.jsonl.gz": gzip.compress(written)}):
        assert caught(copied, run_id), edit


@fuzz
@given(st.data())
def test_an_edit_of_a_log_is_caught_even_if_every_digest_is_recomputed(originals, copied, data):
    run_id = data.draw(st.sampled_from(sorted(originals)))
    lines, edit = edited_log(copied, run_id, data)
    if (edit[0], edit[1][0]) in NOT_DERIVABLE:
        return
    forged = chained(lines)
    entry = Entry.model_validate_json(originals[run_id])
    digest = hashlib.sha256(forged).hexdigest()
    forged_entry = with_entry_digest(entry.model_copy(update={"event_log_digest": digest}))
    log, entry_path = copied / "events" / f"{run_id}.jsonl.gz", copied / f"{run_id}.json"
    written = forged_entry.model_dump_json().encode()
    with replaced({log: gzip.compress(forged), entry_path: written}):
        assert caught(copied, run_id), edit


def test_the_reader_accepts_the_forged_chain(originals, copied):
    """The forgery of the test above has no other flaw: without the edit, it passes."""
    for run_id in originals:
        log = copied / "events" / f"{run_id}.jsonl.gz"
        lines = [json.loads(line) for line in gzip.decompress(log.read_bytes()).splitlines()]
        assert chained(lines) == gzip.decompress(log.read_bytes())
