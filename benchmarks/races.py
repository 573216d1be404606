"""Whole training commands, raced: `efficiency-bench train` against programs that people use.

Every program trains the same network of timm on the same images, with the same batch and threads,
for one epoch; crops and flips them in its own way; and evaluates after it.  On CIFAR-10 ours reads
the archive; the others read PNG files, written beforehand, and torchvision's loop also holds them
in memory.  On photographs all read the same JPEG files.  The programs take turns, the first one
changes every round, and three rows compare ours with each: seconds of the whole command, seconds
from its start to its first step, and images per second from there to its end.

The opponents: timm's own train.py, whose path you give; and in `opponents/` torchvision's reference
loop, Lightning's Trainer and Accelerate's loop, each with channels_last and what its documentation
advises on a CPU.  PYTHON is an interpreter that has the optional packages.  The rows hold their
versions, which `write_tables.py` writes below the table.

All of CONTESTS are sized for three rounds in 20 minutes on two quiet cores:

    python benchmarks/races.py --cifar DIR --timm-train DIR/train.py --python PYTHON --json \\
        > runs/bench/races.json
    python benchmarks/write_tables.py runs/bench
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import training
from opponents.common import CIFAR_PX, FIRST_STEP, MOMENTUM, RATE, STATISTICS, WEIGHT_DECAY
from photographs import plant_photographs
from rows import Row, row, show

from efficiency_bench.data import cifar
from efficiency_bench.data.build import cut

HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("efficiency-bench")
TIMMS_FIRST_STEP = "Train: 0 ["
"""timm's train.py logs its first update."""

ANY_DATE = "2015-12-10"
"""A network's date decides nothing here, but a run must have one."""


CLASSES = 10
VAL_SHARE = 5
"""One validation image to so many training images."""


class Contest(NamedTuple):
    """A network and its images: CIFAR-10's if they have 32 px, else photographs."""

    model: str
    images: int
    px: int = CIFAR_PX

    @property
    def name(self) -> str:
        """As rows and --only name it."""
        return self.model if self.px == CIFAR_PX else f"{self.model} on photographs"


CONTESTS = (
    Contest("mobilenetv3_small_050", 4000),
    Contest("efficientnet_b0", 2000),
    Contest("resnet18", 1200),
    Contest("mobilenetv3_small_100", 400, 224),
)
"""0.9, 9, 37 and 58 million forward MACs per image; images for some ten seconds of training."""


class Race(NamedTuple):
    """What every program trains."""

    contest: Contest
    batch: int
    threads: int
    cifar: Path
    files: Path
    """Holds train/ and val/, and CIFAR-10 also as train.pt and val.pt."""


class Turn(NamedTuple):
    """One command, in seconds."""

    whole: float
    first_step: float
    """From the command's start to the end of its first step."""

    def images_per_second(self, race: Race) -> float:
        """Training images per second after the first step, evaluations included."""
        return race.contest.images / (self.whole - self.first_step)


MEASURES: dict[str, tuple[str, Callable[[Turn, Race], float]]] = {
    "whole command": ("seconds", lambda turn, race: turn.whole),
    "start to first step": ("seconds", lambda turn, race: turn.first_step),
    "after the first step": ("images a second", lambda turn, race: turn.images_per_second(race)),
}
"""What a row compares -> its unit and its value."""


class CommandError(Exception):
    """A program ended with an error."""


Program = Callable[[Race, Path], Turn]
"""Trains in an empty folder."""


class Opponent(NamedTuple):
    """A program against which ours is raced."""

    name: str
    program: Program
    version: str
    """What was run, for the line below the table."""
    only_px: int | None = None
    """If set, it races only on images of this side."""


def ours(race: Race, folder: Path) -> Turn:
    """`efficiency-bench train`; its first step's time is read from its log.

    The log has the time of several steps together, which are taken to be equally long.
    """
    contest = race.contest
    if contest.px == CIFAR_PX:
        data = [
            "recipe=small_plain", "data=cifar10", f"data.root={race.cifar.resolve()}",
            f"data.train_images={contest.images}",
            f"data.val_images={contest.images // VAL_SHARE}",
        ]  # fmt: skip
    else:
        data = [
            "recipe=imagenet_plain", "data=folder", f"data.root={race.files}",
            f"data.image_px={contest.px}", f"data.workers={race.threads}",
        ]  # fmt: skip
    command = [
        str(PROGRAM), "train", "model=timm", f"model.name=timm:{contest.model}",
        f"model.published={ANY_DATE}", *data, "recipe.epochs=1",
        f"recipe.batch_size={race.batch}", f"recipe.optimizer.lr={RATE}",
        f"recipe.optimizer.momentum={MOMENTUM}", f"recipe.optimizer.weight_decay={WEIGHT_DECAY}",
        "evaluation.per_epoch_near=1", "target.value=1.0", "device=cpu",
        f"threads={race.threads}", "tracking.wandb=false", "run_dir=run", "ledger_dir=ledger",
    ]  # fmt: skip
    began = time.time()
    run(command, race, folder, "")
    whole = time.time() - began
    lines = (folder / "run" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    first = next(event for event in map(json.loads, lines) if event["event"] == "progress")
    # logged after some steps, whose training clock it has
    after_one = first["train_seconds"] * (1 - 1 / first["steps"])
    logged = datetime.datetime.fromisoformat(first["time_utc"]).timestamp()
    return Turn(whole, logged - after_one - began)


def timms(python: str, script: Path) -> Program:
    """timm's train.py in its faster layout, with a worker per thread."""

    def program(race: Race, folder: Path) -> Turn:
        contest = race.contest
        crop = "1.0" if contest.px == CIFAR_PX else "0.875"
        side = ["--input-size", "3", *[str(contest.px)] * 2, "--crop-pct", crop]
        mean, std = (map(str, numbers) for numbers in STATISTICS[contest.px == CIFAR_PX])
        numbers = ["--mean", *mean, "--std", *std, "--lr", str(RATE)]
        command = [
            python, str(script.resolve()), "--data-dir", str(race.files), "--train-split", "train",
            "--val-split", "val", "--model", contest.model, "--num-classes", str(CLASSES), *side,
            *numbers, "--batch-size", str(race.batch), "--epochs", "1", "--opt", "sgd",
            "--momentum", str(MOMENTUM), "--weight-decay", str(WEIGHT_DECAY), "--sched", "cosine",
            "--warmup-epochs", "0", "--cooldown-epochs", "0", "--smoothing", "0",
            "--color-jitter", "0", "--device", "cpu", "--channels-last",
            "--workers", str(race.threads), "--output", str(folder),
        ]  # fmt: skip
        return run(command, race, folder, TIMMS_FIRST_STEP)

    return program


def opponent(python: str, script: str, *more: str) -> Program:
    """One of `opponents/`, with a worker per thread."""

    def program(race: Race, folder: Path) -> Turn:
        numbers = {"px": race.contest.px, "batch": race.batch, "threads": race.threads}
        command = [
            python, str(HERE / "opponents" / script), "--data", str(race.files),
            "--model", race.contest.model, "--epochs", "1", "--workers", str(race.threads),
            *(word for name, number in numbers.items() for word in (f"--{name}", str(number))),
            *more,
        ]  # fmt: skip
        return run(command, race, folder, FIRST_STEP)

    return program


def run(command: Sequence[str], race: Race, folder: Path, sign: str) -> Turn:
    """Run a command to its end and time the first line with ``sign``; CommandError if it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(race.threads)}
    began, first, last = time.perf_counter(), 0.0, ""
    with subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout
        for line in process.stdout:
            last = line.strip() or last
            if not first and sign in line:
                first = time.perf_counter() - began
    if process.returncode:
        raise CommandError(last)
    return Turn(time.perf_counter() - began, first)


def opponents(python: str, timm_train: Path | None) -> Iterator[Opponent]:
    """The opponents that are installed; the others are reported."""
    if timm_train is None:
        say("timm's train.py: not run: give its path with --timm-train")
    elif version := answer(python, "import timm; print(timm.__version__)", timm_train.parent):
        yield Opponent("timm", timms(python, timm_train), f"timm {version}, {revision(timm_train)}")
    else:
        say("timm's train.py: not run: not installed")
    for name in ("torchvision", "lightning", "accelerate"):
        code = f"import importlib.metadata as m; print(m.version({name!r}))"
        if version := answer(python, code, HERE):
            script = f"{name}_loop.py"
            yield Opponent(name, opponent(python, script), f"{name} {version}")
            if name == "torchvision":
                program = opponent(python, script, "--memory")
                yield Opponent(f"{name} in memory", program, f"{name} {version}", CIFAR_PX)
        else:
            say(f"{name}: not run: not installed")


def answer(python: str, code: str, folder: Path) -> str:
    """What an interpreter prints of ``code`` in a folder; empty if it fails."""
    told = subprocess.run(
        [python, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    return "" if told.returncode else told.stdout.strip()


def revision(script: Path) -> str:
    """The digest of a script, and the commit of its repository if it is tracked in one."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(script.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    digest = f"{script.name} with sha256 {hashlib.sha256(script.read_bytes()).hexdigest()[:12]}"
    commit = git("ls-files", script.name) and git("rev-parse", "--short=12", "HEAD")
    return f"{digest} of commit {commit}" if commit else digest


def say(line: str) -> None:
    """Print to stderr, so that stdout has only rows."""
    print(line, file=sys.stderr, flush=True)


def raced(race: Race, others: Sequence[Opponent], rounds: int) -> Iterator[Row]:
    """Three rows per opponent; one that fails is reported and leaves the race."""
    programs = {"ours": ours, **{other.name: other.program for other in others}}
    turns: dict[str, list[Turn]] = {name: [] for name in programs}
    for number in range(rounds):
        names = list(turns)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    turns[name].append(programs[name](race, Path(folder)))
                except CommandError as error:
                    if name == "ours":
                        raise
                    say(f"{name}: not run: it failed: {error}")
                    del turns[name]
        say(f"{race.contest.name}: round {number + 1} of {rounds}")
    mine = turns.pop("ours")
    versions = {other.name: other.version for other in others}
    for name, theirs in turns.items():
        for what, (unit, measure) in MEASURES.items():
            pairs = [
                (measure(a, race), measure(b, race)) for a, b in zip(mine, theirs, strict=True)
            ]
            title = f"races/{race.contest.name}, {name}, {what}"
            yield row(title, unit, pairs, opponent=versions[name])


def plant(contest: Contest, cifar_root: Path, folder: Path) -> Path:
    """Write a contest's images under ``folder``."""
    val_images = contest.images // VAL_SHARE
    if contest.px != CIFAR_PX:
        return plant_photographs(folder, contest.images, val_images, CLASSES)
    splits = cifar.load("cifar10", cifar_root, download=False)
    for part, images, count in (
        ("train", splits.train, contest.images),
        ("val", splits.val, val_images),
    ):
        some = cut(images, count, "--images")
        training.write_files(some, folder / part)
        torch.save((some.images, some.labels), folder / f"{part}.pt")
    return folder


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """The rows of all contests, or of the one that was asked for."""
    others = list(opponents(asked.python, asked.timm_train))
    for contest in CONTESTS:
        if asked.only not in (None, contest.name):
            continue
        cropped = contest._replace(images=min(contest.images, asked.images or contest.images))
        with tempfile.TemporaryDirectory() as folder:
            files = plant(cropped, asked.cifar, Path(folder))
            race = Race(cropped, asked.batch, asked.threads, asked.cifar, files)
            yield from raced(
                race,
                [other for other in others if other.only_px in (None, contest.px)],
                asked.rounds,
            )


def main() -> int:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar", type=Path, required=True, help="holds cifar-10-batches-py")
    parser.add_argument("--timm-train", type=Path, help="train.py of timm's repository")
    parser.add_argument("--python", default=sys.executable, help="has lightning and accelerate")
    parser.add_argument("--only", choices=[contest.name for contest in CONTESTS])
    for name, default in (("batch", 64), ("threads", os.cpu_count() or 1), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--images", type=int, help="at most so many, to try it")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.timm_train and not asked.timm_train.is_file():
        say(f"--timm-train {asked.timm_train} is not a file; type the path of timm's train.py")
        return 2
    try:
        show(rows(asked), asked.json)
    except CommandError as error:
        say(f"efficiency-bench train failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
