"""Untrusted files, names and configuration values are only read, never executed."""

from __future__ import annotations

import ast
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from efficiency_bench.cli import main
from efficiency_bench.data import restricted_pickle
from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.tracking.sync import of_folder
from efficiency_bench.verify.evidence import gather
from tests.commands import command
from tests.ledger.factory import make_entry
from tests.tiny import TINY

ROOT = Path(__file__).parent.parent
PICKLE_DOOR = "efficiency_bench/data/restricted_pickle.py"

CODE_FROM_DATA = {
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "cloudpickle.load",
    "cloudpickle.loads",
    "dill.load",
    "dill.loads",
    "joblib.load",
    "marshal.load",
    "marshal.loads",
    "shelve.open",
    "pandas.read_pickle",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "hydra.utils.instantiate",
    "torch.hub.load",
}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
BUILT_IN = {"eval", "exec", "compile", "__import__"}


def names_of_imports(tree: ast.AST) -> dict[str, str]:
    """Return alias -> imported name of a file: ``np`` -> ``numpy``."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                known[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return known


def dotted(node: ast.AST, known: dict[str, str]) -> str:
    """Resolve ``np.load`` to ``numpy.load``; empty for anything but a dotted name."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value, known)):
        return f"{owner}.{node.attr}"
    return ""


def dangers(source: str) -> list[str]:
    """Return the calls in a source file that could execute data, each with its line."""
    tree = ast.parse(source)
    known = names_of_imports(tree)
    found = []
    for node in ast.walk(tree):
        name = dotted(node, known) if isinstance(node, ast.Name | ast.Attribute) else ""
        # a field may have such a name (`compile: bool`): only reads count as uses
        used = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        if name in CODE_FROM_DATA | SHELLS or (name in BUILT_IN and used):
            found.append(f"{name}, line {node.lineno}")
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func, known)
        given = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
        if called == "torch.load" and given.get("weights_only") is not True:
            found.append(f"torch.load without weights_only=True, line {node.lineno}")
        if called == "numpy.load" and any(k.arg == "allow_pickle" for k in node.keywords):
            found.append(f"numpy.load with allow_pickle, line {node.lineno}")
        if any(k.arg == "shell" for k in node.keywords):
            found.append(f"{called} with shell=, line {node.lineno}")
    return found


SOURCES = sorted(
    path
    for folder in ("efficiency_bench", "models", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_file_executes_data(path):
    allowed = str(path.relative_to(ROOT)) == PICKLE_DOOR
    found = dangers(path.read_text())
    assert [f for f in found if not (allowed and f.startswith("pickle.Unpickler"))] == []


@pytest.mark.parametrize(
    "line",
    [
        "import torch; torch.load(path)",
        "import torch; torch.load(path, weights_only=False)",
        "from torch import load as read; read(path)",
        "import pickle as p; p.loads(data)",
        "from pickle import load; f = load",
        "import pickle\nclass A(pickle.Unpickler): pass",
        "import numpy as np; np.load(path, allow_pickle=True)",
        "import yaml; yaml.load(text)",
        "import subprocess; subprocess.run(text, shell=True)",
        "import os; os.system(text)",
        "eval(text)",
        "f = exec",
        "from hydra.utils import instantiate; instantiate(config)",
    ],
)
def test_the_search_finds_each_danger(line):
    assert dangers(line)


@pytest.mark.parametrize(
    "line",
    [
        "import torch; torch.load(path, weights_only=True); model.eval()",
        "import re; re.compile(text)",
        "import yaml; yaml.safe_load(text)",
        "import numpy as np; np.load(path)",
    ],
)
def test_the_search_accepts_harmless_lines(line):
    assert dangers(line) == []


# Pickles by hand: `c` names a function, `R` calls it, `b` hands an object its state.
TOUCH = b"S'touch executed'\n"
ATTACKS = {
    "reduce": b"cos\nsystem\n(" + TOUCH + b"tR.",
    "instance": b"(" + TOUCH + b"ios\nsystem\n.",
    "object": b"(cos\nsystem\n" + TOUCH + b"o.",
    "eval": b'c__builtin__\neval\n(S\'__import__("os").system("touch executed")\'\ntR.',
    "getattr": b"cbuiltins\ngetattr\n(cnumpy\nndarray\nS'tofile'\ntR.",
    "dotted": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile.\x93.",
    "submodule": b"cnumpy.f2py.compile\ncompile\n(" + TOUCH + b"tR.",
    "torch": b"ctorch._utils\n_rebuild_tensor\n)R.",
    "torch-load": b"ctorch\nload\n(S'x'\ntR.",
    "memmap": b"cnumpy\nmemmap\n(S'executed'\nS'uint8'\nS'w+'\nI0\n(I1\nttR.",
    "fromfile": b"cnumpy\nfromfile\n(S'/etc/passwd'\ntR.",
    "state": b"(dS'data'\nccopyreg\n_reconstructor\n(cos\n_wrap_close\nc__builtin__\nobject\nNtRs.",
    "extension": b"\x80\x02\x82\x01.",
    "persistent": b"Psomething\n.",
}


# A type whose only field is a terabyte away, an array of it, and a write to that field.
FAR_TYPE = (
    b"cnumpy\ndtype\n(S'V1'\nI00\nI01\ntR(I3\nS'|'\nN(S'a'\nt(dS'a'\n"
    b"(cnumpy\ndtype\n(S'u1'\nI00\nI01\ntRI1099511627776\ntsI1\nI1\nI0\ntb"
)
FAR_WRITE = (
    b"(dS'data'\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\nt"
    + FAR_TYPE
    + b"I00\nS'x'\ntbS'a'\nI5\nss."
)
ATTACKS |= {
    "write-anywhere": FAR_WRITE,
    "type-of-eight": b"cnumpy\ndtype\n(S'V8'\ntR.",
    "state-of-a-name": b"cnumpy\nndarray\n(dS'x'\nI1\nsb.",
    "call-of-the-class": b"cnumpy\nndarray\n(I5\ntR.",
    "new-of-the-class": b"\x80\x02cnumpy\nndarray\n(K\x05t\x81.",
    "attribute-of-an-array": b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.",
}


def test_the_out_of_bounds_write_crashes_a_process_that_lets_numpy_read_it():
    code = f"import pickle; pickle.loads({FAR_WRITE!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGSEGV


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_malicious_pickle_is_rejected_and_runs_nothing(attack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data_batch_1"
    path.write_bytes(ATTACKS[attack])
    with pytest.raises(UserError, match="data_batch_1"):
        restricted_pickle.load(path)
    assert [p.name for p in tmp_path.iterdir()] == ["data_batch_1"]


@pytest.mark.parametrize("attack", ["reduce", "instance", "object", "eval", "memmap"])
def test_the_malicious_pickles_do_run_with_plain_pickle(attack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(ATTACKS[attack])
    assert (tmp_path / "executed").exists()


def test_a_class_inside_an_array_is_refused_too(tmp_path):
    class Inside:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'executed'}",)

    hidden = np.empty(1, dtype=object)
    hidden[0] = Inside()
    path = tmp_path / "data_batch_1"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({"data": hidden}, protocol))
        with pytest.raises(UserError, match="no code was run"):
            restricted_pickle.load(path)
    assert not (tmp_path / "executed").exists()


ESCAPES = ["../up", "/absolute", "a/b", "..", ".hidden", "nul\0", "line\n"]


@pytest.mark.parametrize("name", ESCAPES)
def test_no_run_id_leaves_the_ledger(name, tmp_path):
    ledger_dir = tmp_path / "a" / "ledger"
    log = tmp_path / "events.jsonl"
    log.write_text("{}\n")
    with pytest.raises(UserError, match="cannot name a file"):
        store.append(ledger_dir, make_entry(run_id=name), log)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["events.jsonl"]


@pytest.mark.parametrize("name", ESCAPES)
def test_no_run_id_of_a_log_names_a_wandb_folder_elsewhere(name, tmp_path):
    log = tmp_path / "events.jsonl"
    log.write_text(json.dumps({"event": "start", "run_id": name}) + "\n")
    with pytest.raises(UserError, match="cannot name a file"):
        of_folder(tmp_path)


def test_a_link_in_the_ledgers_folder_is_not_written_through(tmp_path):
    outside, ledger_dir = tmp_path / "outside", tmp_path / "ledger"
    outside.write_text("untouched")
    log = tmp_path / "events.jsonl"
    log.write_text("{}\n")
    (ledger_dir / "events").mkdir(parents=True)
    store.entry_path(ledger_dir, "one").symlink_to(outside)
    with pytest.raises(store.EntryExists):
        store.append(ledger_dir, make_entry(run_id="one"))
    store.log_path(ledger_dir, "two").symlink_to(outside)
    store.append(ledger_dir, make_entry(run_id="two"), log)
    assert outside.read_text() == "untouched"
    assert not store.log_path(ledger_dir, "two").is_symlink()


@pytest.mark.parametrize("place", ["/dev/zero", "../../../../../../../../../../dev/zero"])
def test_an_entry_that_names_a_device_as_its_log_is_not_read_forever(place, tmp_path):
    odd = make_entry(run_id="one", event_log=place)
    (copy,) = gather(tmp_path, odd, [odd]).logs
    assert copy.content is None
    assert "not opened: a log is a relative path" in copy.problem


@pytest.fixture
def typed_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["efficiency-bench", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code

    return run


@pytest.mark.parametrize(
    "argument",
    [
        "experiment=\\$(touch executed)",
        "experiment=`touch executed`",
        "model.name='$(touch executed)'",
        "recipe.name='x; touch executed'",
        "data.name='$(touch executed)'",
        "model.name=../../outside",
        "experiment=/etc/passwd",
    ],
)
def test_no_value_of_the_configuration_reaches_a_shell_or_another_folder(
    argument, typed_in, tmp_path
):
    done = typed_in("train", "experiment=alexnet", argument, "tracking.wandb=false")
    assert done == 2
    assert not list(tmp_path.rglob("executed"))
    assert not list(tmp_path.rglob("outside*"))


def test_paths_with_shell_characters_are_only_paths(tmp_path):
    odd = "run $(touch executed); `touch executed`"
    options = ("experiment=shufflenet_v2_x1_0", "recipe.epochs=0.3", "target.value=1.0", *TINY)
    places = (f"run_dir='{odd}'", f"ledger_dir='{odd}/ledger'", "tracking.project='$(touch x)'")
    offline = {"WANDB_MODE": "offline", "HOME": str(tmp_path)}
    done = command("train", *options, *places, cwd=tmp_path, **offline)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / odd / "entry.json").exists()
    assert not list(tmp_path.rglob("executed"))
    assert not list(tmp_path.rglob("x"))
    shutil.rmtree(tmp_path / odd)
