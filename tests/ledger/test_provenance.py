"""Provenance: commit, code digest, versions and hardware."""

import hashlib
import json
import subprocess
import sys

import pytest

from efficiency_bench import provenance


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("1\n")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_commit_and_dirty_flag(repository):
    head = (repository / ".git" / "HEAD").read_text().split()[1]
    commit = (repository / ".git" / head).read_text().strip()
    assert provenance.git_state(repository / "code.py") == (commit, False)
    (repository / "a-ledger-entry.json").write_text("{}")
    assert provenance.git_state(repository / "code.py") == (commit, False)
    (repository / "code.py").write_text("2\n")
    assert provenance.git_state(repository / "code.py") == (commit, True)


def test_an_enclosing_repository_that_does_not_track_the_code_is_ignored(repository):
    (repository / "installed.py").write_text("1\n")
    assert provenance.git_state(repository / "installed.py") == (None, None)


def test_no_repository_and_no_git(tmp_path, monkeypatch):
    (tmp_path / "code.py").write_text("1\n")
    assert provenance.git_state(tmp_path / "code.py") == (None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_state(tmp_path / "code.py") == (None, None)


def test_inside_a_git_hook_the_repository_of_the_code_is_used(repository, tmp_path, monkeypatch):
    own = provenance.git_state(repository / "code.py")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert provenance.git_state(repository / "code.py") == own


def test_collect_adds_the_machine_and_keeps_what_the_caller_knows():
    found = provenance.collect({"device": "cuda:0", "cores": 3})
    assert found.hardware["device"] == "cuda:0"
    assert found.hardware["cores"] == 3
    assert found.hardware["cpu"]
    assert found.hardware["memory_bytes"] > 2**28
    assert found.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"torch", "fvcore", "numpy", "efficiency-bench"} <= found.versions.keys()
    assert len(found.code_digest) == 64


def test_code_digest_follows_names_and_bytes(tmp_path):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("a")
    two.write_text("b")
    digests = [
        provenance._digest_files(files)
        for files in (
            {"p/one.py": one, "p/two.py": two},
            {"p/one.py": two, "p/two.py": one},
            {"p/one.py": one},
            {"p/uno.py": one, "p/two.py": two},
        )
    ]
    assert len(set(digests)) == 4
    assert provenance._digest_files({"p/two.py": two, "p/one.py": one}) == digests[0]


def test_code_digest_covers_the_mapped_packages():
    names = dict(provenance._code_files())
    assert {
        "efficiency_bench/records.py",
        "efficiency_bench/models/__init__.py",
        "efficiency_bench/configs/train.yaml",
        "efficiency_bench/reference/__init__.py",
    } <= names.keys()


def test_digest_json_hashes_canonical_json():
    text = '{"a":[1,2.5,null],"b":"x"}'
    assert provenance.digest_json({"b": "x", "a": [1, 2.5, None]}) == (
        hashlib.sha256(text.encode()).hexdigest()
    )
    with pytest.raises(ValueError, match="JSON"):
        provenance.digest_json(float("nan"))


def test_nothing_heavy_is_imported():
    code = (
        "import sys, json\n"
        "from efficiency_bench.provenance import collect\n"
        "collect({})\n"
        "print(json.dumps([m for m in ('torch', 'hydra', 'omegaconf') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
