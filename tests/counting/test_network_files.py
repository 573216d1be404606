"""The digest of a network's source files, and the commit that has an older one."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from efficiency_bench import provenance
from efficiency_bench.counting import network_files
from efficiency_bench.counting.network_files import commit_with, network_digest, network_digest_at
from efficiency_bench.git import commits_of, files_at, has_commit, top_of
from efficiency_bench.ledger import store
from efficiency_bench.provenance import code_digest_at
from efficiency_bench.reproducibility import data_and_counts
from tests.ledger.recorded import LEDGER

ROOT = Path(__file__).parents[2]


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def committed(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one more")
    return git(folder, "rev-parse", "HEAD")


RESNET = "from torch import nn\n"
RESNEXT = "from efficiency_bench.models.resnet import STAGES\n"
PYPROJECT = """[tool.setuptools.package-dir]
"efficiency_bench" = "efficiency_bench"
"efficiency_bench.models" = "models"
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Three commits: the second changes only what resnext imports, the third only the README."""
    git(tmp_path, "init", "-q")
    first = committed(
        tmp_path,
        {
            "pyproject.toml": PYPROJECT,
            "models/resnet.py": RESNET,
            "models/resnext.py": RESNEXT,
            "models/vgg.py": "",
            "efficiency_bench/records.py": "3\n",
        },
    )
    second = committed(tmp_path, {"models/resnet.py": RESNET + "STAGES = 4\n"})
    third = committed(tmp_path, {"README.md": "words"})
    for module in (network_files, provenance):
        monkeypatch.setattr(module, "top_of", lambda file: tmp_path)
    for cached in (network_digest_at, commit_with, code_digest_at):
        cached.cache_clear()
    yield tmp_path, (first, second, third)
    for cached in (network_digest_at, commit_with, code_digest_at):
        cached.cache_clear()


def by_hand(**files):
    """SHA-256 over names and the SHA-256 of contents, in order of names."""
    total = hashlib.sha256()
    for name, text in sorted(files.items()):
        total.update(name.replace("_py", ".py").encode() + b"\0")
        total.update(hashlib.sha256(text.encode()).digest())
    return total.hexdigest()


def test_the_digest_covers_the_networks_file_and_its_imports(repository):
    _, (first, second, third) = repository
    assert network_digest_at(first, "resnet18", "small") == by_hand(resnet_py=RESNET)
    both = by_hand(resnet_py=RESNET, resnext_py=RESNEXT)
    assert network_digest_at(first, "resnext50_32x4d", "small") == both
    assert network_digest_at(second, "resnext50_32x4d", "imagenet") != both
    assert network_digest_at(third, "vgg11", "small") == by_hand(vgg_py="")
    assert network_digest_at(first, "alexnet", "small") is None, "that commit has no alexnet.py"
    assert network_digest_at("0" * 40, "resnet18", "small") is None
    assert network_digest_at(first, "timm:resnet18", "small") is None


def test_commit_with_returns_the_newest_commit_with_the_digest(repository):
    _, (first, second, _) = repository
    assert commit_with(by_hand(resnet_py=RESNET), "resnet18", "small") == first
    newer = by_hand(resnet_py=RESNET + "STAGES = 4\n")
    assert commit_with(newer, "resnet18", "small") == second
    assert commit_with(by_hand(vgg_py=""), "vgg11", "small") == second
    assert commit_with("0" * 64, "resnet18", "small") is None


def test_digests_of_this_checkout(tmp_path):
    models = ROOT / "models"
    digest = by_hand(
        vgg_py=(models / "vgg.py").read_text(),
        initialise_py=(models / "initialise.py").read_text(),
        small_form_py=(models / "small_form.py").read_text(),
    )
    assert network_digest("vgg11", "small") == digest
    assert network_digest("timm:resnet18", "small") is None
    assert network_digest("no_such_net", "small") is None


def test_code_digest_of_a_commit_matches_the_one_that_its_runs_record(repository):
    _, (first, second, third) = repository
    files = {
        "efficiency_bench/models/resnet.py": RESNET,
        "efficiency_bench/models/resnext.py": RESNEXT,
        "efficiency_bench/models/vgg.py": "",
        "efficiency_bench/records.py": "3\n",
    }
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(name.encode() + b"\0" + hashlib.sha256(files[name].encode()).digest())
    assert code_digest_at(first) == total.hexdigest()
    assert code_digest_at(second) == code_digest_at(third) != code_digest_at(first)
    assert code_digest_at("0" * 40) is None


def test_recorded_entries_match_the_digests_of_their_commits():
    """The digests were recorded at training time, by the code of that time."""
    facts = {
        (entry.provenance.commit, entry.provenance.code_digest)
        for entry in store.read(LEDGER).entries
    }
    at_hand = {commit: code_digest_at(commit) for commit, _ in facts}
    if not any(at_hand.values()):
        pytest.skip("no history here: a shallow clone, or no repository")
    assert {(c, d) for c, d in facts if at_hand[c] is not None} == {
        (c, d) for c, d in at_hand.items() if d is not None
    }


def test_an_entry_of_an_older_network_is_traced_to_its_commit(repository, monkeypatch):
    """By the entry's network digest, or, in schema 2, by its commit if the code digest matches."""
    _, (first, second, third) = repository
    entry = store.read(LEDGER).entries[-1]
    assert entry.model == "resnet18"

    def asked(**facts):
        provenance_then = entry.provenance.model_copy(update=facts)
        return data_and_counts.older_network(
            entry.model_copy(update={"provenance": provenance_then})
        )

    assert asked(network_digest=by_hand(resnet_py=RESNET)) == first
    assert asked(network_digest="0" * 64) is None
    assert asked(network_digest=network_digest("resnet18", "small")) is None
    assert asked(commit=third, code_digest=code_digest_at(third)) == third
    assert asked(commit=third, code_digest="0" * 64) is None
    assert asked(commit="0" * 40) is None
    monkeypatch.setattr(
        network_files, "network_digest", lambda *_: network_digest_at(second, "resnet18", "small")
    )
    assert asked(commit=third, code_digest=code_digest_at(third)) is None, (
        "the network has not changed since"
    )


def test_symlinks_in_a_commit_are_skipped_and_a_missing_blob_returns_none(repository):
    folder, (first, _, _) = repository
    (folder / "models" / "linked.py").symlink_to("/etc/passwd")
    commit = committed(folder, {})
    assert set(files_at(folder, commit, (".py",), ("models",))) == {
        "models/resnet.py",
        "models/resnext.py",
        "models/vgg.py",
    }
    blob = git(folder, "rev-parse", f"{first}:models/resnet.py")
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert files_at(folder, first, (".py",)) is None


@pytest.mark.parametrize("text", ["HEAD", "", "-x", "--help", "g" * 40, "a" * 41, "é" * 40])
def test_an_invalid_commit_id_is_not_passed_to_git(repository, text):
    folder, _ = repository
    assert not has_commit(folder, text)
    assert files_at(folder, text, (".py",)) is None


def test_without_git_every_lookup_is_empty(repository, monkeypatch, tmp_path):
    folder, (first, _, _) = repository
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert not has_commit(folder, first)
    assert top_of(folder / "models" / "vgg.py") is None
    assert list(commits_of(folder, "models")) == []
    assert code_digest_at(first) is None


def test_an_untracked_file_changes_the_code_state(monkeypatch):
    commit, _ = provenance.git_state(Path(provenance.__file__))
    if commit is None:
        pytest.skip("no repository here")
    monkeypatch.setattr(provenance, "git_state", lambda file: (commit, False))
    monkeypatch.setattr(provenance, "code_digest", lambda: "0" * 64)
    assert provenance.collect({}).dirty is True
    monkeypatch.setattr(provenance, "code_digest", lambda: code_digest_at(commit))
    assert provenance.collect({}).dirty is False
