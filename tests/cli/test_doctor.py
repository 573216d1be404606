"""`doctor`: what is there, what is missing, what to type; never a key's value, never torch."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from efficiency_bench.cli import doctor

ROOT = Path(__file__).parents[2]


@pytest.fixture
def parts(typed, monkeypatch):
    """`doctor --json` in an environment without a W&B key and with the given programs on PATH."""
    monkeypatch.setenv("NETRC", "/nonexistent")
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)

    def read(*arguments):
        result = typed("doctor", "--json", *arguments)
        assert result.returncode == 0, result.stderr
        return {part["name"]: part for part in json.loads(result.stdout)}

    return read


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_what_is_installed_is_found_with_its_version(parts):
    found = parts()
    for part in found.values():
        assert set(part) == {"name", "found", "version", "works", "advice"}
        assert part["works"] == (part["advice"] is None)
    assert found["Python"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert found["torch"]["version"].startswith(version("torch"))
    assert found["torchvision"]["works"]


def test_the_versions_tried_are_those_of_the_constraints():
    text = (ROOT / "constraints.txt").read_text()
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))
    assert {name: pinned[name] for name in doctor.TRIED} == doctor.TRIED


def test_without_programs_and_a_key_the_advice_says_what_to_type(parts, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = parts()
    for name, word in (("CUDA", "device=cpu"), ("Slurm", "sbatch"), ("W&B", "wandb login")):
        assert not found[name]["works"]
        assert word in found[name]["advice"]


def test_gpus_and_slurm_are_found_on_the_path(parts, monkeypatch, tmp_path):
    program(tmp_path, "nvidia-smi", "echo 'NVIDIA H100'; echo 'NVIDIA H100'")
    program(tmp_path, "sbatch", "true")
    monkeypatch.setenv("PATH", f"{tmp_path}")
    found = parts()
    assert found["CUDA"]["version"] == "NVIDIA H100, NVIDIA H100"
    assert found["CUDA"]["works"]
    assert found["Slurm"]["version"] == str(tmp_path / "sbatch")
    program(tmp_path, "nvidia-smi", "echo no driver; exit 9")
    assert not parts()["CUDA"]["works"]


def test_the_value_of_a_key_is_not_printed(parts, typed, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789")
    assert "key present" in parts()["W&B"]["version"]
    assert "0123456789" not in typed("doctor", "--json").stdout + typed("doctor").stdout


@pytest.mark.parametrize(
    ("installed", "wrong"),
    [
        ({"torch": "2.14.1+cu130", "torchvision": "0.29.1+cu130"}, set()),
        ({"torch": "2.11.0", "torchvision": "0.26.0"}, set()),
        ({"torch": "2.14.1", "torchvision": "0.26.0"}, {"torchvision"}),
        ({"torch": "2.8.0", "torchvision": "0.23.0"}, {"torch"}),
        ({"torchvision": "0.29.1"}, {"torch", "torchvision"}),
        ({"torch": "2.14.1"}, {"torchvision"}),
    ],
)
def test_torch_must_be_recent_and_match_torchvision(parts, monkeypatch, installed, wrong):
    monkeypatch.setattr(doctor, "_installed", installed.get)
    found = parts()
    assert {name for name in ("torch", "torchvision") if not found[name]["works"]} == wrong
    assert found["torch"]["found"] == ("torch" in installed)


def test_a_folder_that_cannot_be_written_is_named(parts, tmp_path):
    (tmp_path / "file").write_text("")
    assert parts()["ledger folder"]["works"]
    broken = parts("--ledger", "file/ledger")["ledger folder"]
    assert "ledger_dir=DIR" in broken["advice"]
    assert not (tmp_path / "runs").exists()


def test_the_table_fits_80_columns_and_torch_is_not_imported(tmp_path):
    code = (
        "import sys; from efficiency_bench.cli import main; sys.argv = ['efficiency-bench',"
        " 'doctor']\ntry: main()\nexcept SystemExit: assert 'torch' not in sys.modules"
    )
    environment = {"COLUMNS": "80", "PATH": "/usr/bin:/bin"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "torchvision" in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 80
