"""Plans one run: its work, time and cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from efficiency_bench.config import RecipeConfig, RunConfig, measured_part
from efficiency_bench.counting.mac_table import Macs, look_up
from efficiency_bench.identity import config_digest, row_date
from efficiency_bench.ledger import store
from efficiency_bench.ledger.costs import SECONDS_PER_HOUR
from efficiency_bench.plan.duration import Timing, Work, loader_speed, steps, timing, work
from efficiency_bench.plan.evidence import chance_to_arrive, epochs_to_target
from efficiency_bench.plan.hardware import Hardware
from efficiency_bench.plan.probe import Rate, probed
from efficiency_bench.plan.sizes import Disk, SetSize, disk, set_size
from efficiency_bench.records import Entry, exact_flops, paper3x_tfs_days
from efficiency_bench.run import device as devices
from efficiency_bench.run.budgeted import budgeted_recipe
from efficiency_bench.run.setup import build_network, counted_model
from efficiency_bench.run.target import is_baseline
from efficiency_bench.training.schedule import all_sides_px

JOULES_PER_KILOWATT_HOUR = 3.6e6


@dataclass(frozen=True)
class Network:
    """A row's network, its MAC counts and its speed."""

    model: nn.Module
    counts: Mapping[int, Macs]
    rate: Rate


LAUNCH_SECONDS, COLLECTIVE_SECONDS = 5e-6, 1e-5
"""Least time of an operator's launch, and of a collective among the GPUs of one machine.

Not measured here.  Launch: the lower end of 5 to 25 us of CPU work for each PyTorch operator before
its kernel runs (jiahuanglin.xyz, "From PyTorch op to kernel launch").  Collective: all-reduce of 8
to 128 bytes on a DGX A100 takes 10 us between 2 GPUs and 33.7 us among 8 (nccl-tests, issue 123).
They bound a small batch's step from below.
"""


def least_step_seconds(model: nn.Module) -> float:
    """Lower bound of a step on several GPUs, whatever its arithmetic takes.

    A layer launches at least three kernels (forward, and its two gradients).  A synchronised batch
    norm takes a collective forward and one backward; the gradients take one at least.
    """
    layers = [module for module in model.modules() if not list(module.children())]
    norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in layers)
    return 3 * len(layers) * LAUNCH_SECONDS + (2 * norms + 1) * COLLECTIVE_SECONDS


@dataclass(frozen=True)
class Place:
    """Where the run is planned for: a machine of the table, or this machine (None)."""

    machine: Hardware | None
    probe_seconds: float

    def resolved(self, config: RunConfig) -> RunConfig:
        """``config`` resolved so that its network can be built on this machine."""
        if self.machine is None:
            return devices.resolve(config)
        return replace(config, device="cpu", channels_last=True, optimizer_kernel="foreach")

    @property
    def devices(self) -> int:
        """World size of a run; 1 on this machine."""
        return self.machine.devices if self.machine else 1

    def rate(self, config: RunConfig, model: nn.Module, size: SetSize, count: Macs) -> Rate:
        """Measured speed, or the machine's utilised peak divided by the exact FLOPs per image."""
        if self.machine is None:
            return probed(config, model, size.classes, self.probe_seconds)
        precision = "bf16" if config.precision == "auto" else config.precision
        flops = 2 * (count.forward_macs + count.backward_macs)
        watts = self.machine.board_power_watts
        images_per_second = self.machine.flops_per_second(precision) / flops
        source = f"{self.machine.utilisation:.1%} of the peak in {precision}"
        if self.devices > 1:
            # the utilisation was measured with more images per GPU than the recipe has there
            share = config.recipe.batch_size / self.devices
            bound = config.recipe.batch_size / least_step_seconds(model)
            images_per_second = min(images_per_second, bound)
            source = (
                f"at best {source}, with {share:.3g} images per GPU and step, and a bound by"
                f" {LAUNCH_SECONDS * 1e6:.0f} µs a launch and {COLLECTIVE_SECONDS * 1e6:.0f} µs a"
                " collective"
            )
        return Rate(
            images_per_second=images_per_second,
            source=source,
            watts=None if watts is None else watts * self.machine.devices,
            energy_source=self.machine.board_power_source or "unknown",
        )


class RunPlanner:
    """Callable that maps a configuration to its row of the plan."""

    def __init__(
        self, place: Place, price_usd_per_hour: float | None, tell: Callable[[str], None]
    ) -> None:
        self.place = place
        self.price_usd_per_hour = price_usd_per_hour
        self.tell = tell
        self.networks: dict[str, Network] = {}
        self.ledgers: dict[str, Sequence[Entry]] = {}

    def __call__(self, asked: RunConfig) -> dict[str, Any]:
        """The row of a run as JSON values, with units in the keys and sources.

        Raises TooFewSteps if its budget pays for too few steps.
        """
        size, entries = set_size(asked.data), self._entries(asked.ledger_dir)
        config = self.place.resolved(asked)
        network = self._network(config, size)
        config = replace(config, recipe=_recipe(config, size, network))
        epochs, chance = epochs_to_target(config, entries), chance_to_arrive(config, entries)
        todo = work(config, size, network.counts, epochs)
        loading = loader_speed(config, self.place.machine)
        count, rate = network.counts[config.data.image_px], network.rate
        takes = timing(todo, size, count, rate.images_per_second, loading)
        return {
            "experiment": config.experiment,
            "model": config.model.name,
            "recipe": config.recipe.name,
            "scale": config.model.scale,
            "data": config.data.name,
            "seed": config.seed,
            "repeat": config.repeat,
            "budget": config.budget,
            "date": row_date(measured_part(config)),
            "is_baseline": is_baseline(config),
            "epochs_to_target": epochs.epochs,
            "epochs_source": epochs.source,
            "paper3x_tfs_days": paper3x_tfs_days(todo.to_target),
            "exact_flops": exact_flops(todo.to_target),
            "evaluations": todo.evaluations,
            "arithmetic_images_per_second": rate.images_per_second,
            "arithmetic_source": rate.source,
            "loader_images_per_second": loading.images_per_second,
            "loader_source": loading.source,
            **self._costs(todo, takes, rate),
            **asdict(self._disk(config, network, todo, takes)),
            "chance_to_arrive": None if chance is None else asdict(chance),
        }

    def _costs(self, todo: Work, takes: Timing, rate: Rate) -> dict[str, Any]:
        images = sum(segment.images for segment in todo.trained)
        seconds = takes.train_seconds + takes.evaluation_seconds
        hours, watts, price = seconds / SECONDS_PER_HOUR, rate.watts, self.price_usd_per_hour
        return {
            "trained_images": images,
            "images_per_second": images / takes.train_seconds,
            "limit": takes.limit,
            "train_hours": takes.train_seconds / SECONDS_PER_HOUR,
            "evaluation_hours": takes.evaluation_seconds / SECONDS_PER_HOUR,
            "hours": hours,
            "device_hours": hours * self.place.devices,
            "energy_kilowatt_hours": watts * seconds / JOULES_PER_KILOWATT_HOUR if watts else None,
            "energy_source": rate.energy_source,
            "cost_usd": None if price is None else price * hours,
        }

    def _disk(self, config: RunConfig, network: Network, todo: Work, takes: Timing) -> Disk:
        batches = steps(todo.trained, config.recipe.batch_size)
        seconds = takes.train_seconds + takes.evaluation_seconds
        return disk(config, network.model, batches, todo.evaluations, seconds)

    def _network(self, config: RunConfig, size: SetSize) -> Network:
        """The network of a row, built and timed once for all seeds and budgets."""
        key = config_digest(measured_part(replace(config, budget=None)))
        if key not in self.networks:
            model, counts = self._counted(config, size.classes)
            if self.place.machine is None:
                self.tell(f"timing {config.model.name} for {self.place.probe_seconds:g} s")
            rate = self.place.rate(config, model, size, counts[config.data.image_px])
            self.networks[key] = Network(model, counts, rate)
        return self.networks[key]

    def _counted(self, config: RunConfig, classes: int) -> tuple[nn.Module, Mapping[int, Macs]]:
        """The network and its MACs by side, from the table if it is not timed here."""
        sides = all_sides_px(config.recipe.progressive, config.data.image_px)
        tabulated = None if self.place.machine is None else _tabulated(config, classes, sides)
        if tabulated is None:
            self.tell(f"counting {config.model.name}")
            return counted_model(config, classes, sides)
        with torch.device("meta"):  # layers and sizes are all that a plan reads
            return build_network(config, classes), tabulated

    def _entries(self, folder: str) -> Sequence[Entry]:
        if folder not in self.ledgers:
            there = Path(folder).is_dir()
            self.ledgers[folder] = store.read(Path(folder)).entries if there else ()
        return self.ledgers[folder]


def _tabulated(
    config: RunConfig, classes: int, sides_px: Sequence[int]
) -> Mapping[int, Macs] | None:
    """The MACs by side of a network that the table has, else None."""
    # a small form is tabulated as built for the side at which it is counted
    built_for_all = config.form == "imagenet" or set(sides_px) == {config.data.image_px}
    if config.model.scale != 1 or config.model.width is not None or not built_for_all:
        return None
    found = {side: look_up(config.model.name, config.form, classes, side) for side in sides_px}
    return {side: row for side, row in found.items() if row} if all(found.values()) else None


def _recipe(config: RunConfig, size: SetSize, network: Network) -> RecipeConfig:
    """The recipe, with the epochs that a budget pays for."""
    forward_macs = {side: count.forward_macs for side, count in network.counts.items()}
    return budgeted_recipe(config, size.classes, size.train_images, forward_macs)
