"""Whole training commands, raced: `efficiency-bench train` against programs that people use.

Every program trains the same network of timm on the same CIFAR-10 images, with the same batch,
epochs and threads, crops and flips them in its own way, and evaluates after every epoch.  Ours
reads the archive; the others read PNG files, written beforehand.  The programs take turns, the
first one changes every round, and three rows compare ours with each: seconds of the whole command,
seconds from its start to its first step, and images per second from there to its end.

The opponents: timm's own train.py, whose path you give; and in `opponents/` torchvision's reference
loop, Lightning's Trainer and Accelerate's loop, each with channels_last and what its documentation
advises on a CPU.  PYTHON is an interpreter that has the optional packages.

    python benchmarks/races.py --cifar DIR [--timm-train PATH] [--python PYTHON] [--model NAME]
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

import timm
import training
from opponents.common import FIRST_STEP, MEAN, MOMENTUM, RATE, STD, WEIGHT_DECAY
from rows import Row, row, show

from efficiency_bench.data import cifar
from efficiency_bench.data.build import cut

HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("efficiency-bench")
TIMMS_FIRST_STEP = "Train: 0 ["
"""timm's train.py logs its first update."""

ANY_DATE = "2015-12-10"
"""A network's date decides nothing here, but a run must have one."""


class Race(NamedTuple):
    """What every program trains."""

    model: str
    epochs: int
    batch: int
    threads: int
    images: int
    val_images: int
    cifar: Path
    files: Path
    """Holds train/ and val/."""


class Turn(NamedTuple):
    """One command, in seconds."""

    whole: float
    first_step: float
    """From the command's start to the end of its first step."""

    def images_per_second(self, race: Race) -> float:
        """Training images per second after the first step, evaluations included."""
        return race.images * race.epochs / (self.whole - self.first_step)


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


def ours(race: Race, folder: Path) -> Turn:
    """`efficiency-bench train` from the archive; its first step's time is read from its log."""
    command = [
        str(PROGRAM), "train", "model=timm", f"model.name=timm:{race.model}",
        f"model.published={ANY_DATE}", "recipe=small_plain", "data=cifar10",
        f"data.root={race.cifar.resolve()}", f"data.train_images={race.images}",
        f"data.val_images={race.val_images}", f"recipe.epochs={race.epochs}",
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
        side = ["--input-size", "3", "32", "32", "--crop-pct", "1.0"]
        numbers = ["--mean", *map(str, MEAN), "--std", *map(str, STD), "--lr", str(RATE)]
        command = [
            python, str(script.resolve()), "--data-dir", str(race.files), "--train-split", "train",
            "--val-split", "val", "--model", race.model, "--num-classes", "10", *side, *numbers,
            "--batch-size", str(race.batch), "--epochs", str(race.epochs), "--opt", "sgd",
            "--momentum", str(MOMENTUM), "--weight-decay", str(WEIGHT_DECAY), "--sched", "cosine",
            "--warmup-epochs", "0", "--cooldown-epochs", "0", "--smoothing", "0",
            "--color-jitter", "0", "--device", "cpu", "--channels-last",
            "--workers", str(race.threads), "--output", str(folder),
        ]  # fmt: skip
        return run(command, race, folder, TIMMS_FIRST_STEP)

    return program


def opponent(python: str, script: str) -> Program:
    """One of `opponents/`, with a worker per thread."""

    def program(race: Race, folder: Path) -> Turn:
        numbers = {"epochs": race.epochs, "batch": race.batch, "threads": race.threads}
        command = [
            python, str(HERE / "opponents" / script), "--data", str(race.files),
            "--model", race.model, "--workers", str(race.threads),
            *(word for name, number in numbers.items() for word in (f"--{name}", str(number))),
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


def opponents(python: str, timm_train: Path | None) -> Iterator[tuple[str, Program]]:
    """The opponents that are installed; the others are reported."""
    if timm_train is None:
        say("timm's train.py: not run: give its path with --timm-train")
    else:
        digest = hashlib.sha256(timm_train.read_bytes()).hexdigest()
        say(f"timm's train.py: {timm_train}, sha256 {digest[:12]}, timm {timm.__version__}")
        yield "timm", timms(python, timm_train)
    for name, package, script in (
        ("torchvision", "torchvision", "torchvision_loop.py"),
        ("lightning", "lightning", "lightning_loop.py"),
        ("accelerate", "accelerate", "accelerate_loop.py"),
    ):
        asks = f"import importlib.metadata as m; print(m.version({package!r}))"
        answer = subprocess.run([python, "-c", asks], capture_output=True, text=True, check=False)
        if answer.returncode:
            say(f"{name}: not run: not installed")
            continue
        say(f"{name}: {answer.stdout.strip()}")
        yield name, opponent(python, script)


def say(line: str) -> None:
    """Print to stderr, so that stdout has only rows."""
    print(line, file=sys.stderr, flush=True)


def raced(race: Race, others: dict[str, Program], rounds: int) -> Iterator[Row]:
    """Three rows per opponent; one that fails is reported and leaves the race."""
    programs = {"ours": ours, **others}
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
    mine = turns.pop("ours")
    for name, theirs in turns.items():
        for what, (unit, measure) in MEASURES.items():
            pairs = [
                (measure(a, race), measure(b, race)) for a, b in zip(mine, theirs, strict=True)
            ]
            yield row(f"races/{race.model}, {name}, {what}", unit, pairs)


def main() -> int:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar", type=Path, required=True, help="holds cifar-10-batches-py")
    parser.add_argument("--timm-train", type=Path, help="train.py of timm's repository")
    parser.add_argument("--python", default=sys.executable, help="has lightning and accelerate")
    parser.add_argument("--model", default="resnet18", help="a network of timm that takes 32 px")
    for name, default in (("epochs", 1), ("batch", 64), ("threads", os.cpu_count() or 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--images", type=int, default=10_000, help="a fifth more validate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.timm_train and not asked.timm_train.is_file():
        say(f"--timm-train {asked.timm_train} is not a file; type the path of timm's train.py")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        files, val_images = Path(folder), asked.images // 5
        splits = cifar.load("cifar10", asked.cifar, download=False)
        training.write_files(cut(splits.train, asked.images, "--images"), files / "train")
        training.write_files(cut(splits.val, val_images, "--images"), files / "val")
        race = Race(
            asked.model, asked.epochs, asked.batch, asked.threads, asked.images, val_images,
            asked.cifar, files,
        )  # fmt: skip
        others = dict(opponents(asked.python, asked.timm_train))
        try:
            show(raced(race, others, asked.rounds), asked.json)
        except CommandError as error:
            say(f"efficiency-bench train failed: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
