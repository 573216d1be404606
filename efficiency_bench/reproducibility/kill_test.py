"""Kill test: a run that is killed repeatedly must end with the result of an undisturbed run.

Every attempt is a fork of a process that has imported torch and computed nothing, so an attempt
costs a second and no import.  Half of the kills come at a random time, half at a random disk
write: just before or just after a checkpoint, an event or an entry is written.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from efficiency_bench.config import RunConfig
from efficiency_bench.config_checks import check as check_config
from efficiency_bench.errors import UserError
from efficiency_bench.hydra_app import compose, is_sweep
from efficiency_bench.ledger import store
from efficiency_bench.records import Entry
from efficiency_bench.reproducibility.rerun import differences
from efficiency_bench.run.run import run
from efficiency_bench.verify import LedgerIndex, verify

WRITES = ("write", "fsync", "replace", "link")
"""The ``os`` calls that change the disk: all durable writes go through them."""


@dataclass(frozen=True)
class Proof:
    """The result of a kill test."""

    undisturbed: Entry
    disturbed: Entry
    kills: tuple[str, ...]
    """Where each kill came: seconds into the attempt, or the number of the write."""
    problems: tuple[str, ...]
    """Differences between the two results, and failed verification rules; empty: passed."""


def command(
    arguments: Sequence[str], out: Path, kills: int, seed: int
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Kill-test the run of Hydra's ``arguments``; returns the problems, and a row for JSON.

    Progress is printed to standard error.
    """
    proofs: list[Proof] = []

    if is_sweep(arguments):
        raise UserError(
            "verify-resume tests a single run, not a sweep: leave out -m and comma lists"
        )
    for composed in compose(arguments):
        check_config(composed.config)
        for news in prove(composed.config, out, kills, seed):
            if isinstance(news, Proof):
                proofs.append(news)
            else:
                print(f"  {news}", file=sys.stderr)
    (proof,) = proofs[:1]
    verdict = "differs" if proof.problems else "bit-exact"
    repeated = f"{proof.disturbed.repeated_images} images were repeated"
    print(f"after {len(proof.kills)} kills: {verdict}; {repeated}", file=sys.stderr)
    for problem in proof.problems:
        print(f"  {problem}", file=sys.stderr)
    return proof.problems, {
        "run_id": proof.disturbed.run_id,
        "ok": not proof.problems,
        "kills": list(proof.kills),
        "problems": list(proof.problems),
        "weights_digest": proof.disturbed.weights_digest,
        "images": proof.disturbed.images,
        "repeated_images": proof.disturbed.repeated_images,
    }


def prove(config: RunConfig, folder: Path, kills: int, seed: int) -> Iterator[str | Proof]:
    """Train a run undisturbed and with kills in ``folder``; yields messages, then the proof.

    ``kills`` is how often the disturbed run is killed before it may finish.  Raises UserError if
    the undisturbed run fails.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; name a new folder with --out DIR")
    if config.data.name == "digits":
        # scikit-learn's import would cost every attempt more than its training
        import efficiency_bench.data.digits  # noqa: F401
    draw = random.Random(seed)
    plain, disturbed = (placed(config, folder / name) for name in ("undisturbed", "disturbed"))
    began = time.monotonic()
    writes_file = folder / "writes"
    status = forked(lambda: count_writes(plain, writes_file))
    seconds = time.monotonic() - began
    if status != 0:
        raise UserError(
            f"the undisturbed run ended with exit code {status}: see {folder};\n"
            "make it end with 0 first: efficiency-bench train with the same arguments"
        )
    writes = int(writes_file.read_text())
    yield f"undisturbed: {seconds:.1f} s, {writes} disk writes"
    places: list[str] = []
    while len(places) < kills:
        if len(places) % 2:
            place = kill_at_write(disturbed, draw.randrange(1, writes + 1), draw.random() < 0.5)
        else:
            place = kill_at_moment(disturbed, draw.uniform(0.0, seconds))
        if place is None:  # it ended before the kill: start another run to kill
            yield from check(places, plain, disturbed, final=False)
            shutil.rmtree(folder / "disturbed")
            continue
        places.append(place)
        yield f"killed {len(places)}/{kills}: {place}"
    if (status := forked(lambda: run(disturbed).exit_code)) != 0:
        raise UserError(
            f"the run could not resume: exit code {status}, see {folder};\n"
            "run efficiency-bench train with the same arguments to see why"
        )
    yield from check(places, plain, disturbed, final=True)


def check(
    places: list[str], plain: RunConfig, disturbed: RunConfig, final: bool
) -> Iterator[Proof]:
    """The proof for the two runs; if not ``final``, only if there is a problem."""
    one, other = entry_of(plain), entry_of(disturbed)
    ledger_dir = Path(disturbed.ledger_dir)
    failures = verify(ledger_dir, other, LedgerIndex(store.read(ledger_dir).entries)).failures
    problems = (*differences(one, other), *(f"verify: {f}" for f in failures))
    if final or problems:
        yield Proof(one, other, tuple(places), problems)


def placed(config: RunConfig, folder: Path) -> RunConfig:
    """``config`` with its folder and ledger in ``folder``, saving as often as possible."""
    return replace(
        config,
        run_dir=str(folder / "run"),
        ledger_dir=str(folder / "ledger"),
        checkpoint_share=1.0,
        deterministic=True,  # without it a GPU need not repeat a result to the bit
        tracking=replace(config.tracking, wandb=False),
    )


def entry_of(config: RunConfig) -> Entry:
    """The only entry in the ledger of ``config``."""
    (entry,) = store.read(Path(config.ledger_dir)).entries
    return entry


def forked(child: Callable[[], int]) -> int:
    """Run ``child`` in a fork and return its exit code; negative: the signal that killed it."""
    process = os.fork()
    if process == 0:
        os._exit(_code_of(child))
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill_at_moment(config: RunConfig, seconds: float) -> str | None:
    """Kill an attempt ``seconds`` after its start; None if it ended earlier."""
    process = os.fork()
    if process == 0:
        os._exit(_code_of(lambda: run(config).exit_code))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            _check_ended(os.waitstatus_to_exitcode(status))
            return None
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return f"after {seconds:.2f} s"


def kill_at_write(config: RunConfig, number: int, before: bool) -> str | None:
    """Kill an attempt at its ``number``-th write; None if it ended with fewer writes."""

    def child() -> int:
        def at(count: int, name: str, done: bool) -> None:
            if count == number and done != before:
                os.kill(os.getpid(), signal.SIGKILL)

        with watched_writes(at):
            return run(config).exit_code

    code = forked(child)
    if code < 0:
        return f"{'before' if before else 'after'} write {number}"
    _check_ended(code)
    return None


def count_writes(config: RunConfig, result: Path) -> int:
    """Run undisturbed and write the number of disk writes to ``result``."""
    counts = [0]

    def at(count: int, name: str, done: bool) -> None:
        counts[0] = count

    with watched_writes(at):
        code = run(config).exit_code
    result.write_text(str(counts[0]))
    return code


@contextmanager
def watched_writes(at: Callable[[int, str, bool], None]) -> Iterator[None]:
    """Call ``at(count, name, done)`` before and after every call of ``WRITES``."""
    originals = {name: getattr(os, name) for name in WRITES}
    count = 0

    def watched(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal count
            count += 1
            at(count, name, False)
            result = originals[name](*arguments, **keywords)
            at(count, name, True)
            return result

        return call

    for name in WRITES:
        setattr(os, name, watched(name))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def _check_ended(code: int) -> None:
    if code != 0:
        raise UserError(
            f"an attempt ended with exit code {code} before it was killed;\n"
            "run efficiency-bench train with the same arguments to see why"
        )


def _code_of(child: Callable[[], int]) -> int:
    """The exit code of a fork.  No exception may escape, or the fork runs on as a second parent."""
    try:
        return child()
    except BaseException:  # SystemExit and Ctrl-C too; the traceback is printed
        traceback.print_exc()
        return 70  # EX_SOFTWARE of sysexits.h
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
