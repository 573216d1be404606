"""A stand-in for CUDA: every ``device.type == "cuda"`` branch runs, on CPU tensors.

``installed`` patches ``torch.cuda`` (cards that never existed), sends whatever is created on or
moved to "cuda" to the CPU, makes ``torch.autocast("cuda")`` cast on the CPU, starts gloo where
"nccl" is asked for, uses CPU batch norm for SyncBatchNorm, and puts a fake pynvml in its place.
It records what the code asked for: synchronizations, copies, seeds.

What it shows: that the branches run, what they ask torch for and in which order, on which thread,
and how the code handles the errors that a card raises (they are raised by hand).

What it cannot show: anything about a real card.  Nothing is asynchronous, so a missing
synchronization or a buffer that is reused too early does not fail here.  Tensors that stayed on the
wrong device are not noticed.  NCCL's own behaviour, CUDA's kernels and their rounding, TF32,
cuDNN's choice of algorithms, torch's compiler, CUDA graphs, memory limits and every speed are
those of a CPU or absent.  A number from it is never a number of a GPU.

    python -m tests.accelerator.stand_in SCRIPT.py ARGUMENTS     # a script on one such card
"""

from __future__ import annotations

import contextlib
import runpy
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist

NAME = "stand-in for a GPU (CPU tensors)"
CPU = torch.device("cpu")
BOARD_MILLIJOULES = 250_000
"""What the fake NVML adds to a board's counter at each reading."""


@dataclass(frozen=True)
class Copy:
    """A tensor moved to the card."""

    bytes: int
    pinned_in: int | None
    """The thread that pinned it; None: it is pageable."""
    non_blocking: bool

    @property
    def pinned(self) -> bool:
        """Whether the source was pinned memory."""
        return self.pinned_in is not None


@dataclass
class Card:
    """Records the calls of the code under test, and the answers to give."""

    cards: int = 1
    capability: tuple[int, int] = (9, 0)
    memory_bytes: int = 80 << 30
    free_bytes: int = 70 << 30
    current: int = 0
    synchronizations: int = 0
    energy_readings: int = 0
    copies: list[Copy] = field(default_factory=list)
    autocasts: list[tuple[str, bool]] = field(default_factory=list)
    backends: list[str] = field(default_factory=list)
    compiled: list[dict[str, Any]] = field(default_factory=list)
    random: torch.Tensor = field(default_factory=lambda: torch.zeros(16, dtype=torch.uint8))

    def synchronize(self, device: Any = None) -> None:
        """Nothing is ever pending; counted."""
        self.synchronizations += 1

    def properties(self, device: Any = None) -> types.SimpleNamespace:
        """Facts of a card that does not exist."""
        number = device if isinstance(device, int) else self.current
        return types.SimpleNamespace(
            name=NAME,
            total_memory=self.memory_bytes,
            uuid=f"00000000-0000-0000-0000-{number:012d}",
            major=self.capability[0],
            minor=self.capability[1],
        )


def is_cuda(device: Any) -> bool:
    """Whether an argument names a CUDA device."""
    if isinstance(device, torch.device):
        return device.type == "cuda"
    return isinstance(device, str) and device.partition(":")[0] == "cuda"


def on_cpu(argument: Any) -> Any:
    """The argument, with the CPU in place of a card."""
    return CPU if is_cuda(argument) else argument


FACTORIES = (
    *("tensor", "as_tensor", "zeros", "ones", "empty", "full", "rand", "randn", "randint"),
    *("arange", "randperm", "zeros_like", "ones_like", "empty_like", "eye"),
)


def _factory(original: Any) -> Any:
    def create(*arguments: Any, **keywords: Any) -> Any:
        pinned = keywords.pop("pin_memory", False)
        if "device" in keywords:
            keywords["device"] = on_cpu(keywords["device"])
        made = original(*arguments, **keywords)
        if pinned:
            made.pinned_by_stand_in = threading.get_ident()
        return made

    return create


def _moving(original: Any, card: Card) -> Any:
    def to(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(self, torch.Tensor) and any(map(is_cuda, (*arguments, *keywords.values()))):
            card.copies.append(
                Copy(
                    self.numel() * self.element_size(),
                    getattr(self, "pinned_by_stand_in", None),
                    bool(keywords.get("non_blocking")),
                )
            )
        keywords = {name: on_cpu(value) for name, value in keywords.items()}
        return original(self, *map(on_cpu, arguments), **keywords)

    return to


def _generator(original: type) -> Any:
    class Generator(original):  # type: ignore[valid-type, misc]
        def __new__(cls, device: Any = "cpu") -> Any:
            return original.__new__(cls, device=on_cpu(device))

    return Generator


def _autocast(original: Any, card: Card) -> Any:
    class Autocast(original):  # type: ignore[misc]
        """Casts on CPU tensors where a card was asked for, as ``original`` would on the card's."""

        def __init__(self, device_type: str, dtype: Any = None, enabled: bool = True) -> None:
            card.autocasts.append((device_type, enabled))
            on_card = device_type == "cuda"
            super().__init__("cpu", dtype=dtype or torch.bfloat16, enabled=enabled and on_card)

    return Autocast


def _fake_nvml(card: Card) -> types.ModuleType:
    nvml = types.ModuleType("pynvml")
    counters: dict[str, int] = {}

    def energy(board: str) -> int:
        card.energy_readings += 1
        counters[board] = counters.get(board, 0) + BOARD_MILLIJOULES
        return counters[board]

    nvml.NVMLError = type("NVMLError", (Exception,), {})  # type: ignore[attr-defined]
    nvml.nvmlInit = lambda: None  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetHandleByUUID = lambda uuid: uuid  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetTotalEnergyConsumption = energy  # type: ignore[attr-defined]
    return nvml


@contextlib.contextmanager
def installed(cards: int = 1) -> Iterator[Card]:
    """Install the stand-in; remove it at the end."""
    card = Card(cards)
    with contextlib.ExitStack() as stack:

        def patch(owner: Any, name: str, value: Any) -> None:
            stack.enter_context(mock.patch.object(owner, name, value))

        for name in FACTORIES:
            patch(torch, name, _factory(getattr(torch, name)))
        patch(torch.Tensor, "to", _moving(torch.Tensor.to, card))
        patch(torch.nn.Module, "to", _moving(torch.nn.Module.to, card))
        patch(torch.Tensor, "pin_memory", _pinned)
        patch(torch, "Generator", _generator(torch.Generator))
        patch(torch, "autocast", _autocast(torch.autocast, card))
        patch(torch, "compile", lambda network, **keywords: _uncompiled(network, keywords, card))
        patch(torch.compiler, "cudagraph_mark_step_begin", lambda: None)
        patch(torch.utils.data, "DataLoader", _loader(torch.utils.data.DataLoader))
        for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
            if hasattr(torch.optim.Optimizer, name):  # by torch's version; asks the driver
                patch(torch.optim.Optimizer, name, lambda self: None)
        for name, value in _cuda(card).items():
            patch(torch.cuda, name, value)
        _patch_distributed(patch, card)
        stack.enter_context(mock.patch.dict("efficiency_bench.run.device.SIDES", cuda=64))
        stack.enter_context(mock.patch.dict(sys.modules, pynvml=_fake_nvml(card)))
        yield card


def _uncompiled(network: Any, keywords: dict[str, Any], card: Card) -> Any:
    """The network as it is: a compiler would ask the driver for the card."""
    card.compiled.append(keywords)
    return network


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    copy = tensor.clone()
    copy.pinned_by_stand_in = threading.get_ident()  # type: ignore[attr-defined]
    return copy


def _loader(original: type) -> Any:
    class Loader(original):  # type: ignore[valid-type, misc]
        def __init__(self, *arguments: Any, pin_memory: bool = False, **keywords: Any) -> None:
            super().__init__(*arguments, **keywords)
            self.pins_by_stand_in = pin_memory

    return Loader


def _cuda(card: Card) -> dict[str, Any]:
    """What the code uses of torch.cuda."""

    def set_device(device: Any) -> None:
        number = device if isinstance(device, int) else torch.device(device).index
        if not 0 <= number < card.cards:
            raise RuntimeError("CUDA error: invalid device ordinal")
        card.current = number

    def set_random(state: torch.Tensor, device: Any = None) -> None:
        card.random = state.clone()

    return {
        "is_available": lambda: True,
        "device_count": lambda: card.cards,
        "current_device": lambda: card.current,
        "set_device": set_device,
        "get_device_properties": card.properties,
        "get_device_capability": lambda device=None: card.capability,
        "get_device_name": lambda device=None: NAME,
        "is_bf16_supported": lambda including_emulation=True: (
            including_emulation or card.capability >= (8, 0)
        ),
        "mem_get_info": lambda device=None: (card.free_bytes, card.memory_bytes),
        "synchronize": card.synchronize,
        "get_rng_state": lambda device=None: card.random.clone(),
        "set_rng_state": set_random,
        "empty_cache": lambda: None,
        "is_current_stream_capturing": lambda: False,
        "manual_seed_all": lambda seed: None,
    }


def _patch_distributed(patch: Any, card: Card) -> None:
    from efficiency_bench.training.ranks import synchronise_batch_norm

    start = dist.init_process_group

    def init(backend: str, **keywords: Any) -> None:
        card.backends.append(backend)
        keywords.pop("device_id", None)
        start("gloo", **keywords)

    patch(dist, "init_process_group", init)
    patch(
        torch.nn.SyncBatchNorm,
        "convert_sync_batchnorm",
        lambda model: synchronise_batch_norm(model, CPU),
    )


def main() -> None:
    """Run a script on the stand-in."""
    _, script, *arguments = sys.argv
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(__import__("pathlib").Path(script).parent))
    with installed():
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
