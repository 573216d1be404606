"""Every command on the pages is run as written, on small stand-ins for the user's data.

Runs are shortened: 300 digits, eight epochs, a target just over what guessing may reach.  Of
`make` only the recipe is looked up.  docs/cluster.md is followed by tests/cluster.
"""

import shutil
import subprocess

import pytest

from efficiency_bench.cli import main
from tests.data.photos import plant
from tests.docs.pages import PAGES, ROOT, blocks
from tests.ledger.dawnbench_files import written
from tests.once import made_once
from tests.tiny import TINY

SHORTENED = (
    *TINY[1:],
    "recipe.epochs=8",
    "recipe.batch_size=16",
    "target.value=0.2",
    "tracking.wandb=false",
)
FALLING = "experiment=alexnet,squeezenet1_1,mobilenet_v1"
"""Three networks each cheaper than the one before: the fewest that can be fitted."""
FOLLOWED = [page for page in PAGES if page.name != "cluster.md"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with what the pages refer to: a sweep, two ledgers, and data."""
    return made_once(tmp_path_factory, "desk", prepare)


def prepare(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "80")
        written(folder / "DIR")
        plant(folder / "IMAGENET", train=8, val=4, classes=("ant", "bee", "cat", "dog", "elk"))
        sweep = ("train", "-m", FALLING, "data=digits", "ledger_dir=runs/demo/ledger")
        assert typed(*sweep) == 0
        shutil.copytree(folder / "runs/demo/ledger", folder / "runs/ledger")


@pytest.fixture
def desk(prepared, tmp_path, monkeypatch):
    """A copy of that folder, so that no page sees what another has done."""
    monkeypatch.chdir(shutil.copytree(prepared, tmp_path / "desk"))


def typed(*words):
    """The exit code of a command line, in this process; a run is shortened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["efficiency-bench", *shortened(words)])
        with pytest.raises(SystemExit) as left:
            main()
    return left.value.code


def shortened(words):
    """The words with the keys that they leave open, before the first of their own."""
    if words[0] != "train":
        return words
    own = {word.split("=")[0] for word in words}
    first = next(place for place, word in enumerate(words) if "=" in word)
    added = (setting for setting in SHORTENED if setting.split("=")[0] not in own)
    return (*words[:first], *added, *words[first:])


def fails(command):
    """Return why a command of a page fails, or None."""
    program, *rest = command
    if program == "make":
        done = subprocess.run(["make", "-n", *rest], cwd=ROOT, capture_output=True, check=False)
        code = done.returncode
    elif program.removeprefix(".venv/bin/") == "efficiency-bench":
        code = typed(*rest)
    else:
        return f"{program}: cannot be followed here; say why above the block"
    return f"{' '.join(command)}: exit code {code}" if code else None


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.name)
@pytest.mark.usefixtures("desk")
def test_the_commands_of_a_page_succeed(page, capfd):
    to_follow = [b for b in blocks(page) if b.language == "bash" and b.reason is None]
    failed = [why for block in to_follow for command in block.commands if (why := fails(command))]
    assert failed == [], capfd.readouterr().err


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.name)
def test_every_code_block_has_a_language(page):
    """An output or a file is `text`, `yaml` or `python`; a reason stands over commands only."""
    for block in blocks(page):
        assert block.language in ("bash", "text", "yaml", "python"), block.body
        assert block.reason is None or block.language == "bash", block.body


@pytest.mark.usefixtures("desk")
def test_a_command_that_does_not_exist_is_found(capfd):
    for line in ("make no-such-target", "efficiency-bench no-such-verb", "rm -rf DIR"):
        assert fails(tuple(line.split())), line
    for line in ("fit published --swep 0.5:0.9", "train experiment=resnet18 recipe.epoch=1"):
        assert fails(("efficiency-bench", *line.split())), line
    assert fails(("make", "help")) is None
