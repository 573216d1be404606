"""A wheel, installed where there is no checkout, trains, fits, reports and verifies."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import version

import pytest

from efficiency_bench.provenance import code_digest
from tests.docs.pages import PAGES, ROOT

PATIENCE_SECONDS = 900.0
"""For one command on a busy machine; it takes half a minute of CPU time."""

SETUPTOOLS = 77
"""The oldest of `[build-system]`; a test may not download a newer one."""

COPIED = re.compile(r"^COPY (.+) \S+$", re.MULTILINE)
NAMED = re.compile(r"(?:efficiency-bench|/source|-e '\.)\[([a-z,-]+)\]")

WHERE = """
import efficiency_bench, efficiency_bench.configs, efficiency_bench.models
import efficiency_bench.reference, sys
for module in list(sys.modules.values()):
    if module.__name__.startswith("efficiency_bench"):
        print(module.__file__)
"""

SHORT = (
    *("train", "-m", "suite=card", "data=digits", "experiment=alexnet,squeezenet1_1,mobilenet_v1"),
    *("seed=0", "data.train_images=300", "data.val_images=100", "recipe.epochs=8"),
    *("recipe.batch_size=16", "target.value=0.2", "device=cpu", "threads=1"),
    "tracking.wandb=false",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The program, installed from a wheel of what the container's recipe copies."""
    if int(version("setuptools").partition(".")[0]) < SETUPTOOLS:
        pytest.skip(f"setuptools {SETUPTOOLS} or newer is not installed")
    place = tmp_path_factory.mktemp("wheel")
    for words in COPIED.findall((ROOT / "launch" / "Dockerfile").read_text()):
        for name in words.split():
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place / "source" / name)
            else:
                (place / "source").mkdir(exist_ok=True)
                shutil.copy(ROOT / name, place / "source")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    options = ("--no-deps", "--no-index", "--no-build-isolation")
    ran(place, *pip, "wheel", *options, "--wheel-dir", "built", "./source")
    (wheel,) = (place / "built").glob("*.whl")
    shutil.rmtree(place / "source")

    environment = place / "env"
    venv.create(environment, symlinks=True)
    (site,) = environment.glob("lib/python*/site-packages")
    # the other packages of this environment; paths listed in a .pth do not bring their own .pth
    # files, such as the one of an editable install
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("".join(f"{path}\n" for path in others))
    python = environment / "bin" / "python"
    ran(place, *pip, "--python", python, "install", "--no-deps", "--no-index", wheel)
    return environment / "bin" / "efficiency-bench"


def ran(folder, *words):
    """What a command prints to standard output; the test fails if the command does."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        words,
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_is_enough(installed, tmp_path):
    assert str(ROOT) not in ran(tmp_path, installed.with_name("python"), "-c", WHERE)
    ran(tmp_path, installed, *SHORT)
    fitted = json.loads(ran(tmp_path, installed, "fit", "--data", "digits", "--json"))
    assert fitted["n"] == 3
    verified = json.loads(ran(tmp_path, installed, "verify", "--json"))
    assert [entry["verdict"] for entry in verified] == ["verified"] * 3
    ran(tmp_path, installed, "report", "--out", "page")
    assert (tmp_path / "page" / "index.html").exists()
    assert len(list((tmp_path / "page").glob("*.svg"))) == 3
    (listed, *_) = (tmp_path / "runs" / "ledger").glob("*.json")
    provenance = json.loads(listed.read_text())["provenance"]
    assert provenance["code_digest"] == code_digest(), "the wheel lacks a file of the checkout"


def test_the_published_rows_need_no_folder(installed, tmp_path):
    assert json.loads(ran(tmp_path, installed, "fit", "published", "--json"))["n"] == 6
    shown = json.loads(ran(tmp_path, installed, "models", "--json"))
    assert {row["form"] for row in shown} == {"imagenet", "small"}


def test_every_extra_that_a_text_names_exists():
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
    assert extras == {"dev", "docs", "models", "cluster", "fast-data", "gpu"}
    code = (ROOT / folder for folder in ("efficiency_bench", "models", "configs", "launch"))
    texts = [path for folder in code for path in folder.rglob("*") if path.is_file()]
    named = {
        name
        for path in (*PAGES, ROOT / "Makefile", *texts)
        if path.suffix != ".pyc"
        for found in NAMED.findall(path.read_text("utf-8"))
        for name in found.split(",")
    }
    assert named >= {"dev", "models", "cluster", "gpu"}
    assert named <= extras
