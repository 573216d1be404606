"""Count every classification network of torchvision and timm with both counters.

Each network is built with random weights at its own input size and counted by shape, on torch's
meta device: both counters, forward and backward, for batches of one and of two images.  They must
agree to the integer.  A network that looks at a value is counted with real numbers, and named.  The
table has one row per network, sorted; a row is added as soon as it is counted, and networks that
have one are skipped.  Each network is counted in a process of its own.

    python benchmarks/every_network.py [--library NAME] [--part K/N] [--again NAME ...]

Several parts may run at the same time.  Ctrl-C leaves a valid table.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import multiprocessing
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import timm
import torch
import torchvision
from torch import nn

from efficiency_bench import files
from efficiency_bench.counting.audit import Audit
from efficiency_bench.counting.forward import (
    ForwardCount,
    count_known_operators,
    trainable_parameters,
)
from efficiency_bench.counting.independent import StepCount, TrainingCopy, per_image
from efficiency_bench.errors import STOPPED, UserError, unknown

TABLE = Path(__file__).parent.parent / "runs" / "reference" / "every_network.csv"

BATCHES = (1, 2)
"""Images of the counted steps."""

LARGER_BATCHES = (2, 3)
"""For networks whose batch norm sees one value per channel and image, which torch refuses to train
on a single image."""

ONE_VALUE = "more than 1 value per channel"
"""Part of torch's message about such a batch norm."""

NO_LOGITS = "must return logits"
"""Part of the message about a network whose output is not (batch, classes)."""

NO_VALUES = "meta tensor"
"""Part of torch's messages if a value is asked for that the meta device does not have."""

MEMORY_BYTES = 20 * 10**9
"""Address space of the process that counts one network, torch's libraries included."""

NO_MEMORY = "can't allocate memory"
"""Part of the message of torch's allocator."""

SECONDS_PER_NETWORK = 5
"""Processor time on an Intel Xeon: 72 s for 15 networks of as many families."""


class Row(NamedTuple):
    """One network; the MACs are per image, and empty unless both counters know every operator."""

    name: str
    library: str
    px: str
    """Height of the images, or height x width if they differ."""
    params: int | None
    forward_macs: int | None
    backward_macs: int | None
    ratio: float | None
    """Backward over forward MACs."""
    verdict: str
    """``agrees``, ``differs``, ``refused`` or ``does not fit``."""
    operator: str
    """The refused operators, separated by spaces: unknown ones, or ones that mix images;
    ``output`` if it returns something else than logits."""


class Network(NamedTuple):
    """A network of a library."""

    name: str
    library: str
    px: str
    build: Callable[[], nn.Module]


def torchvision_network(name: str) -> Network:
    """A network of torchvision at the smallest crop that its weights were published with."""
    weights = torchvision.models.get_model_weights(name)
    px = min(each.transforms.keywords["crop_size"] for each in weights)
    return Network(name, "torchvision", str(px), lambda: torchvision.models.get_model(name))


def timm_network(name: str) -> Network:
    """A network of timm at its default input size."""
    _, height, width = timm.get_pretrained_cfg(name).input_size
    px = f"{height}" if height == width else f"{height}x{width}"
    return Network(name, "timm", px, lambda: timm.create_model(name, pretrained=False))


LIBRARIES: Mapping[str, tuple[Callable[[], list[str]], Callable[[str], Network]]] = {
    "torchvision": (
        lambda: torchvision.models.list_models(module=torchvision.models),
        torchvision_network,
    ),
    "timm": (timm.list_models, timm_network),
}
"""Library -> the names of its classification networks, and a network by name."""


def count(network: Network) -> Row:
    """Count a network by shape, or with real numbers if it looks at one."""
    try:
        return count_model(network, _without_values(network.build))
    except (UserError, RuntimeError) as error:
        if NO_VALUES not in str(error).lower():
            raise
    print(f"{network.name}: counted with real numbers", file=sys.stderr, flush=True)
    return count_model(network, network.build())


def _without_values(build: Callable[[], nn.Module]) -> nn.Module:
    """The network on the meta device; some can only be moved there, not built there."""
    try:
        with torch.device("meta"):
            return build()
    except (RuntimeError, ValueError, TypeError):
        return build().to("meta")


def count_model(network: Network, model: nn.Module) -> Row:
    """The row of a network that was built."""
    image = (3, *sides(network.px))
    row = Row(*network[:3], trainable_parameters(model), None, None, None, "refused", "")
    try:
        counts = [_both(model, image, batch) for batch in BATCHES]
    except (UserError, ValueError) as error:
        if NO_LOGITS in str(error):
            return row._replace(operator="output")
        if ONE_VALUE not in str(error):
            raise
        counts = [_both(model, image, batch) for batch in LARGER_BATCHES]
    refused = {operator for _, _, operators in counts for operator in operators}
    if refused:
        return row._replace(operator=" ".join(sorted(refused)))
    for traced, recorded, _ in counts:
        if words := differences(traced, recorded):
            print(f"{network.name}:", *words, file=sys.stderr, flush=True)
            return row._replace(verdict="differs")
    (traced, *_), (larger, *_) = counts
    if mixing := mixing_operators(traced, larger):
        return row._replace(operator=" ".join(mixing))
    forward, backward = traced.forward_macs, traced.backward_macs
    return row._replace(
        forward_macs=forward,
        backward_macs=backward,
        ratio=round(backward / forward, 4),
        verdict="agrees",
    )


def sides(px: str) -> tuple[int, int]:
    """Height and width of the images."""
    height, _, width = px.partition("x")
    return int(height), int(width or height)


Counts = tuple[ForwardCount, StepCount, set[str]]
"""By the trace, by the independent counter, and the operators that either does not know."""


def _both(model: nn.Module, image: tuple[int, int, int], batch: int) -> Counts:
    """Both counters' counts per image, from ``batch`` images."""
    traced, refused = count_known_operators(model, image, batch)
    step = TrainingCopy(model, image).step(batch)
    larger = TrainingCopy(model, image).step(batch + 1) if step.constant else None
    operators = {operator for operator, _ in [*refused, *step.without_formula]}
    return traced, per_image(step, batch, larger), operators


def differences(traced: ForwardCount, recorded: StepCount) -> tuple[str, ...]:
    """Where the two counters differ, in words: in total or in a module."""
    return Audit(traced, recorded, {}, everything_trained=False).disagreements


def mixing_operators(traced: ForwardCount, larger: ForwardCount) -> list[str]:
    """The contractions whose MACs per image depend on the batch: they mix its images."""
    counts = dict(traced.by_operator), dict(larger.by_operator)
    names = sorted({*counts[0], *counts[1]})
    return [f"aten::{name}" for name in names if counts[0].get(name) != counts[1].get(name)]


def count_apart(network: Network) -> Row:
    """``count`` in a forked process with limited memory, so that no network can stop the others.

    Raises RuntimeError with its last words if the process fails.
    """
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_child, args=(network, theirs))
    process.start()
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        answer = None
    finally:
        process.join()
    if isinstance(answer, Row):
        return answer
    if answer is None and process.exitcode == -signal.SIGKILL:  # what the kernel does without room
        return Row(*network[:3], None, None, None, None, "does not fit", "")
    raise RuntimeError(answer or f"its process ended with {process.exitcode}")


def _child(network: Network, answer: Connection) -> None:
    """Send the row, or what went wrong in one line."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    try:
        answer.send(count(network))
    except Exception as error:
        if isinstance(error, MemoryError) or NO_MEMORY in str(error):
            answer.send(Row(*network[:3], None, None, None, None, "does not fit", ""))
        else:
            answer.send(f"{type(error).__name__}: {error}".partition("\n")[0])


def read(path: Path) -> list[Row]:
    """The rows of the table; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_row(line) for line in csv.DictReader(file)]


def _row(line: Mapping[str, str]) -> Row:
    def number(key: str) -> int | None:
        return int(line[key]) if line[key] else None

    return Row(
        line["name"],
        line["library"],
        line["px"],
        number("params"),
        number("forward_macs"),
        number("backward_macs"),
        float(line["ratio"]) if line["ratio"] else None,
        line["verdict"],
        line["operator"],
    )


def add(path: Path, row: Row) -> None:
    """Put a row into the table, in the place of an earlier one of that network."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        files.lock(folder, math.inf)
        others = [each for each in read(path) if each[:2] != row[:2]]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(sorted([*others, row], key=lambda each: (each.library, each.name)))
        files.put(path, text.getvalue().encode())
    finally:
        os.close(folder)


def asked_networks(library: str | None, part: str, again: Iterable[str]) -> list[Network]:
    """The networks that are still to be counted; raises UserError for a name or part that is none.

    With ``again``, exactly those, whether they have a row or not.
    """
    named = [
        (key, name) for key, (names, _) in LIBRARIES.items() if library in (None, key)
        for name in names()
    ]  # fmt: skip
    if again := list(again):
        known = {name for _, name in named}
        for name in again:
            if name not in known:
                raise unknown("network", name, known)
        chosen = [pair for pair in named if pair[1] in again]
    else:
        number, _, of = part.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise UserError(
                f"--part {part} is not a part; K/N means every Nth network from the Kth on;"
                " type --part 3/8"
            )
        have = {(row.library, row.name) for row in read(TABLE)}
        chosen = [pair for pair in named[int(number) - 1 :: int(of)] if pair not in have]
    return [LIBRARIES[key][1](name) for key, name in chosen]


def main() -> int:
    """Count the networks and write the table; 1 if one differs or could not be counted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", choices=LIBRARIES)
    parser.add_argument("--part", default="1/1", metavar="K/N", help="every Nth from the Kth on")
    parser.add_argument("--again", nargs="+", default=[], metavar="NAME", help="count these anew")
    asked = parser.parse_args()
    torch.set_num_threads(1)  # a fork keeps no other thread
    import norm_shapes  # for this process alone: whoever imports this module keeps torch's own

    _kept = norm_shapes.install()
    try:
        networks = asked_networks(asked.library, asked.part, asked.again)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    hours = len(networks) * SECONDS_PER_NETWORK / 3600
    print(f"{len(networks)} networks, about {hours:.1f} hours on one core", flush=True)
    bad = 0
    for network in networks:
        try:
            row = count_apart(network)
        except RuntimeError as error:
            bad += 1
            print(f"{network.library} {network.name}: no row: {error}", file=sys.stderr, flush=True)
            continue
        except KeyboardInterrupt:
            print("stopped; run the same command again to resume", file=sys.stderr)
            return STOPPED
        add(TABLE, row)
        bad += row.verdict == "differs"
        print(*row, flush=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} s of processor time", flush=True)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
