"""Energy of a run from hardware counters, with training and evaluation charged separately."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch

from efficiency_bench.records import UNKNOWN
from efficiency_bench.run.processes import Process, this_process
from efficiency_bench.run.setup import RunSetup

log = logging.getLogger(__name__)

POWERCAP = Path("/sys/class/powercap")
"""Where Linux exposes the CPU energy counters (both Intel and AMD)."""


class Meter(Protocol):
    """A monotonic energy counter."""

    source: str
    """Which counter it reads, and what that covers."""

    def joules(self) -> float:
        """Energy since the meter was created; OSError if the counter cannot be read."""


class RaplMeter:
    """Energy of all CPU packages of this machine, including other processes' use."""

    def __init__(self, root: Path) -> None:
        """Raise OSError if there is no package, or this user may not read its counter."""
        zones = sorted(root.glob("intel-rapl:*"))
        # "psys" and zones inside a package would count the same energy twice
        self._packages = [z for z in zones if _text(z / "name").startswith("package")]
        if not self._packages:
            raise OSError(f"no processor package in {root}")
        self._ranges = [int(_text(p / "max_energy_range_uj")) for p in self._packages]
        self._last = self._counters()
        self._microjoules = 0
        self.source = f"RAPL, {len(self._packages)} processor packages, all that ran on them"

    def joules(self) -> float:
        """Joules so far.  One wraparound between two calls is detected; a second one is not."""
        now = self._counters()
        for before, after, span in zip(self._last, now, self._ranges, strict=True):
            # the counter runs up to its range and restarts at 0
            self._microjoules += after - before if after >= before else after + span - before
        self._last = now
        return self._microjoules / 1e6

    def _counters(self) -> list[int]:
        return [int(_text(package / "energy_uj")) for package in self._packages]


class NvmlMeter:
    """Energy of some GPU boards, including other processes' use."""

    def __init__(self, nvml: ModuleType, uuids: list[str]) -> None:
        """``nvml`` is pynvml; raise OSError if a board does not count its energy."""
        self._nvml = nvml
        try:
            nvml.nvmlInit()
            self._boards = [nvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in uuids]
        except nvml.NVMLError as error:
            raise OSError(f"NVML: {error}") from error
        self._began = self._total()
        self.source = f"NVML, {len(uuids)} GPU boards without the host"

    def joules(self) -> float:
        """Joules so far.  The board counts millijoules since the driver was loaded."""
        return (self._total() - self._began) / 1e3

    def _total(self) -> int:
        try:
            return sum(self._nvml.nvmlDeviceGetTotalEnergyConsumption(b) for b in self._boards)
        except self._nvml.NVMLError as error:
            raise OSError(f"NVML: {error}") from error


def open_meter(device: str, process: Process) -> tuple[Meter | None, str]:
    """The meter for the run's device and its source; if there is none, None and the reason."""
    try:
        if not process.one_machine:
            raise OSError("the run's processes are on several machines")
        meter = RaplMeter(POWERCAP) if device == "cpu" else _gpus(process)
    except (OSError, ValueError, ImportError) as error:
        return None, f"{UNKNOWN}: {error}"
    return meter, meter.source


def _gpus(process: Process) -> NvmlMeter:
    try:
        import pynvml
    except ImportError as error:
        raise OSError("the package nvidia-ml-py (extra gpu) is not installed") from error
    seen = torch.cuda.device_count()
    if seen < process.world_size:
        raise OSError(f"{process.world_size} processes, but rank 0 sees only {seen} GPUs")
    chosen = range(process.world_size) if process.world_size > 1 else [torch.cuda.current_device()]
    return NvmlMeter(pynvml, [f"GPU-{torch.cuda.get_device_properties(i).uuid}" for i in chosen])


class EnergyAccount:
    """Joules of training and of evaluation, charged as the trainer yields its records."""

    def __init__(self, meter: Meter | None, training: float, evaluation: float) -> None:
        """Start from the joules of earlier attempts; without a meter the energy is unknown."""
        self._meter = meter
        self._training, self._evaluation = training, evaluation
        self._last = 0.0

    @property
    def known(self) -> bool:
        """Whether every reading so far succeeded."""
        return self._meter is not None

    def fields(self) -> dict[str, Any]:
        """The fields of an event; empty if the energy is unknown."""
        if not self.known:
            return {}
        return {
            "energy_joules": self._training,
            "evaluation_energy_joules": self._evaluation,
        }

    def charge_training(self) -> None:
        """Charge the energy since the last call to training."""
        self._training += self._lap()

    def charge_evaluation(self) -> None:
        """Charge the energy since the last call to evaluation."""
        self._evaluation += self._lap()

    def charge_nothing(self) -> None:
        """Drop the energy since the last call, such as that of saving a checkpoint."""
        self._lap()

    def _lap(self) -> float:
        if self._meter is None:
            return 0.0
        try:
            now = self._meter.joules()
        except (OSError, ValueError) as error:
            log.warning("the energy counter failed (%s): the run's energy is unknown", error)
            self._meter = None
            return 0.0
        lap, self._last = now - self._last, now
        return lap


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


PROFILED = "profiled: seconds are not representative"

UNMEASURED = f"{UNKNOWN}: an earlier attempt was not measured"


def begin_cost(run: RunSetup, hardware: Mapping[str, Any]) -> tuple[EnergyAccount, dict[str, Any]]:
    """The energy account, and the ``cost`` field of the ``start`` or ``resume`` event."""
    meter, source = open_meter(run.config.device, this_process())
    notes = [PROFILED] if run.config.profile else []
    fields: dict[str, Any] = {"energy_source": source, "notes": notes}
    if run.peak is not None:
        fields |= {"peak": dict(run.peak), "price_usd_per_hour": run.config.price_usd_per_hour}
        return EnergyAccount(meter, 0.0, 0.0), fields
    assert run.earlier is not None
    start = next(e for e in run.earlier.events if e["event"] == "start")
    notes += _changes(run, start, hardware)
    resumed = run.earlier.energy
    if meter is None or resumed is None:
        fields["energy_source"] = UNMEASURED if meter else source
        return EnergyAccount(None, 0.0, 0.0), fields
    account = (resumed[name] for name in ("energy_joules", "evaluation_energy_joules"))
    return EnergyAccount(meter, *account), fields | resumed


def _changes(run: RunSetup, start: Mapping[str, Any], hardware: Mapping[str, Any]) -> list[str]:
    """Notes on changes since the start that make seconds or dollars mix two machines or prices."""
    notes = []
    first_on, now_on = (
        {key: value for key, value in facts.items() if key != "memory_bytes"}  # changes at a reboot
        for facts in (start["provenance"]["hardware"], hardware)
    )
    if first_on != now_on:
        notes.append("resumed on other hardware: seconds cover both machines")
    price, first = run.config.price_usd_per_hour, start.get("cost", {}).get("price_usd_per_hour")
    if price != first:
        notes.append(f"resumed at {price} USD per hour: dollars use the first price, {first}")
    return notes
