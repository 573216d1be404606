"""The checks that need a GPU, in parts of under ten minutes, and one table with the card's name.

    python benchmarks/gpu_check.py PART... [--out DIR] [--quick]

Parts: tests (what is marked gpu), imagenet and small (``throughput.py`` at 224 and 32 px), choices
(defaults that no GPU has decided yet), limits (crops of over 2^31 elements, a stop by SIGTERM,
energy, compiled against plain); all of them without a name.  Each leaves PART.json in DIR, and
``table.md`` is written anew from those that are there.  --quick: the shortest of everything, to
see that it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import throughput
import torch
from hydra import compose, initialize_config_module
from rows import interleaved, machine, row

from efficiency_bench import config, hydra_app  # noqa: F401  (hydra_app: the schema)
from efficiency_bench.data.crops import Views, cropped
from efficiency_bench.errors import UserError
from efficiency_bench.run.run import run
from efficiency_bench.run.signals import stop_on_signal

OUT = Path("runs/bench/gpu")
STAND_IN = "stand-in"
"""Part of the name of the tests' stand-in for a card, whose numbers are those of no GPU."""

SIDE_PX, ELEMENTS = 160, 2**31 + 2**24
"""Photographs in memory: one more than 32-bit numbers can index."""

SMALL = ("resnet18", "efficientnet_b0")
QUICK = ("alexnet",)
TINY = "recipe.batch_size=4"
"""Of every network with --quick."""

Check = dict[str, str]
"""``what`` was checked, the ``result``, and the ``verdict``."""

CHOICES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "SGD: fused against foreach": (
        ("recipe.optimizer.name=sgd", "recipe.optimizer.lr=0.01", "optimizer_kernel=fused"),
        ("recipe.optimizer.name=sgd", "recipe.optimizer.lr=0.01", "optimizer_kernel=foreach"),
    ),
    "AdamW: fused against foreach": (
        ("recipe.optimizer.name=adamw", "recipe.optimizer.lr=0.001", "optimizer_kernel=fused"),
        ("recipe.optimizer.name=adamw", "recipe.optimizer.lr=0.001", "optimizer_kernel=foreach"),
    ),
    "channels_last against rows": (("channels_last=true",), ("channels_last=false",)),
    "bf16 against TF32": (("precision=bf16",), ("precision=tf32",)),
    "cuDNN's trials against none": ((), ("deterministic=true",)),
    "compile (CUDA graphs) against plain": (("compile=true",), ("compile=false",)),
}
"""What is the default today against the other way; compile, which is not, comes first."""


def tests(quick: bool) -> Iterator[Check]:
    """Run the tests marked gpu."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-m", "gpu", f"--junitxml={report}"]
        code = subprocess.run(command, check=False).returncode
        suite = ElementTree.parse(report).getroot().find("testsuite")
        counts = {} if suite is None else {name: int(n) for name, n in suite.items() if n.isdigit()}
    skipped = counts.get("skipped", 0)
    ran = counts.get("tests", 0) - skipped
    verdict = "FAILED" if code else "passed" if ran else "not run: every test was skipped"
    yield check("tests marked gpu", f"{ran} ran, {skipped} skipped, exit code {code}", verdict)


def rates(data: str) -> Callable[[bool], Iterator[Check]]:
    """Images per second of every network of the paper: our defaults against plain fp32."""

    def part(quick: bool) -> Iterator[Check]:
        for found in throughput.compared(data, *((0.0, QUICK, 1, TINY) if quick else (0.5,))):
            yield check(found["name"], f"{found['ours']:.4g} images/s", compared(found))

    return part


def choices(quick: bool) -> Iterator[Check]:
    """Each choice on a small form and at 224 px."""
    where = [(data, network) for data in ("cifar10", "imagenet") for network in SMALL]
    seconds, pairs, same = (0.0, 1, (TINY,)) if quick else (0.3, 5, ())
    for name, sides in CHOICES.items():
        for data, network in [("cifar10", QUICK[0])] if quick else where:
            what = f"{name}, {network}, {data}"
            try:
                ours, other = (throughput.rate(network, data, seconds, *same, *s) for s in sides)
                ours(), other()  # libraries choose their kernels
                found = row(what, "images a second", list(interleaved(ours, other, pairs)))
            except UserError as error:
                yield check(what, "-", f"left out: {error}")
            else:
                yield check(what, f"{found['ours']:.4g} images/s", compared(found))
    yield averaged_buffers(1 if quick else 200, pairs)
    yield from ddp_options(torch.cuda.device_count(), ("--steps=1", "--pairs=1") if quick else ())


def averaged_buffers(times: int, pairs: int) -> Check:
    """Copy the 53 integer buffers of a ResNet-50: all at once, as the average does, and singly."""
    card = torch.device("cuda")
    stored = [torch.zeros((), dtype=torch.long, device=card) for _ in range(53)]
    current = [torch.ones((), dtype=torch.long, device=card) for _ in range(53)]

    def at_once() -> None:
        torch._foreach_copy_(stored, current)

    def singly() -> None:
        for kept, new in zip(stored, current, strict=True):
            kept.copy_(new)

    def rate(copy: Callable[[], None]) -> float:
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(times):
            copy()
        torch.cuda.synchronize()
        return times / (time.perf_counter() - began)

    rate(at_once), rate(singly)
    measured = list(interleaved(lambda: rate(at_once), lambda: rate(singly), pairs))
    found = row(
        "buffers of the moving average, at once against singly", "copies a second", measured
    )
    return check(found["name"], f"{found['ours']:.4g} {found['unit']}", compared(found))


def ddp_options(cards: int, options: Sequence[str]) -> Iterator[Check]:
    """Measure DistributedDataParallel's options with one process per GPU."""
    if cards < 2:
        yield check("DistributedDataParallel's options", "-", "not tried: one GPU")
        return
    script = Path(__file__).with_name("ddp_options.py")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, f"--nproc-per-node={cards}", str(script), *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        yield check("DistributedDataParallel's options", f"exit code {ended.returncode}",
                    f"FAILED: {reason}")  # fmt: skip
        return
    for found in json.loads(ended.stdout):
        yield check(found["name"], f"{found['ours']:.4g} {found['unit']}", compared(found))


def limits(quick: bool) -> Iterator[Check]:
    """Check sizes, stops and counters that need a real GPU."""
    yield many_crops(2**20 if quick else ELEMENTS)
    with tempfile.TemporaryDirectory() as folder:
        yield from stopped(Path(folder))


def many_crops(elements: int) -> Check:
    """Crops of the last photographs of a large set, on the card and on the host."""
    images = elements // (3 * SIDE_PX**2)
    card = torch.device("cuda")
    stored = torch.empty((images, 3, SIDE_PX, SIDE_PX), dtype=torch.uint8, device=card)
    generator = torch.Generator().manual_seed(0)
    last = torch.randint(256, (4, 3, SIDE_PX, SIDE_PX), dtype=torch.uint8, generator=generator)
    stored[-4:] = last.to(card)
    crops = Views(0.08, 0.875).crops(0, 0, 4, SIDE_PX)
    there = torch.arange(images - 4, images, device=card)
    seen = cropped(stored[there].float(), crops.to(card), 128).cpu()
    worst = float((seen - cropped(last.float(), crops, 128)).abs().max())
    what = f"crops from {stored.numel():,} elements against the host's"
    return check(what, f"at most {worst:.2g} of 255 apart", "passed" if worst < 0.01 else "FAILED")


def stopped(folder: Path) -> Iterator[Check]:
    """A deterministic run that SIGTERM stops, its resumption, and its energy."""
    whole = run(digits(folder / "whole", "deterministic=true")).entry
    disturbed = digits(folder / "disturbed", "deterministic=true")

    class Stopping:
        """Sends the signal at the first evaluation."""

        def __call__(self, event: Any, /) -> None:
            if event["event"] == "evaluation":
                os.kill(os.getpid(), signal.SIGTERM)

        def close(self) -> None:
            """Nothing to close."""

    with stop_on_signal() as stop:
        left = run(disturbed, lambda folder: [Stopping()], lambda: bool(stop))
    entry = run(disturbed).entry
    same = entry is not None and whole is not None and entry.weights_digest == whole.weights_digest
    resumed = left.exit_code == 75 and same
    yield check("SIGTERM, then resumed", "same weights" if same else "other weights",
                "passed" if resumed else "FAILED")  # fmt: skip
    joules = whole.cost.energy_joules if whole and whole.cost else None
    source = whole.cost.energy_source if whole and whole.cost else "unknown"
    yield check(f"energy ({source})", "-" if joules is None else f"{joules:.4g} J",
                "FAILED" if not joules else "passed")  # fmt: skip
    compiled = run(digits(folder / "compiled", "deterministic=true", "compile=true")).entry
    equal = compiled and whole and compiled.weights_digest == whole.weights_digest
    yield check("compiled against plain, 2 epochs", "same weights" if equal else "other weights",
                "to the bit" if equal else "not to the bit")  # fmt: skip


def digits(folder: Path, *changes: str) -> config.RunConfig:
    """A short run on digits on the card, its files in ``folder``."""
    overrides = ["experiment=resnet18", "data=digits", "recipe.epochs=2", "device=cuda", *changes]
    with initialize_config_module("efficiency_bench.configs", version_base="1.3"):
        asked = config.load(compose("train", overrides=[*overrides, "target.value=0.999"]))
    places = {"run_dir": str(folder / "run"), "ledger_dir": str(folder / "ledger")}
    return replace(asked, **places, tracking=replace(asked.tracking, wandb=False))


def check(what: str, result: str, verdict: str) -> Check:
    """A line of the table."""
    return {"what": what, "result": result, "verdict": verdict}


def compared(found: dict[str, Any]) -> str:
    """The verdict on two speeds: the spread of the pairs decides whether they differ."""
    spread = f"{found['ratio']:.3f} times the other ({found['low']:.3f} to {found['high']:.3f})"
    if found["low"] > 1:
        return f"faster: {spread}"
    return f"slower: {spread}" if found["high"] < 1 else f"undecided: {spread}"


PARTS: dict[str, Callable[[bool], Iterator[Check]]] = {
    "tests": tests,
    "imagenet": rates("imagenet"),
    "small": rates("cifar10"),
    "choices": choices,
    "limits": limits,
}


def table(out: Path) -> str:
    """Return a Markdown table of all parts in ``out``."""
    lines = []
    for name in PARTS:
        with contextlib.suppress(FileNotFoundError):
            part = json.loads((out / f"{name}.json").read_text())
            fake = " **A stand-in: none of these numbers is a GPU's.**" * (STAND_IN in part["card"])
            lines += [
                f"## {name}: {part['card']}, torch {part['torch']}",
                "",
                *([fake] if fake else []),
            ]
            lines += ["", "| what | result | verdict |", "|---|---|---|"]
            cells = (
                [c.replace("|", "/").replace("\n", " ") for c in r.values()] for r in part["checks"]
            )
            lines += [*(f"| {' | '.join(row)} |" for row in cells), ""]
    return "\n".join(lines)


def main() -> None:
    """Run the parts; exit code 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    if not torch.cuda.is_available():
        print("no CUDA device: nothing to check")
        return
    asked.out.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in asked.parts or PARTS:
        print(f"part {name}", file=sys.stderr)
        checks = list(PARTS[name](asked.quick))
        failed = failed or any(c["verdict"].startswith("FAILED") for c in checks)
        facts = {"card": torch.cuda.get_device_name(), "torch": machine()["torch"]}
        (asked.out / f"{name}.json").write_text(json.dumps({**facts, "checks": checks}, indent=2))
    text = table(asked.out)
    (asked.out / "table.md").write_text(text)
    print(text)
    sys.exit(failed)


if __name__ == "__main__":
    main()
