"""Steps per second of DistributedDataParallel: our options against torch's defaults.

One process per GPU; without a GPU the processes use gloo on the CPU.  Rank 0 prints the rows.

    torchrun --standalone --nproc-per-node=2 benchmarks/ddp_options.py [--pairs N] [--steps N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.distributed as dist
from rows import Row, interleaved, row, show
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from efficiency_bench.models import build_model
from efficiency_bench.training.ranks import synchronise_batch_norm

NETWORK, BATCH_SIZE, SIDE_PX = "resnet18", 32, 32
"""The small form of ResNet-18 on 32 images per rank, where communication is felt most."""

OPTIONS = {
    "buffers not broadcast": {"broadcast_buffers": False},
    "gradients as views of buckets": {"gradient_as_bucket_view": True},
}
"""What ``training.ranks`` sets, each against torch's default with everything else equal."""


def stepper(device: torch.device, steps: int, **options: bool) -> Callable[[], float]:
    """A function that trains ``steps`` steps with these options, and returns steps per second."""
    network = build_model(NETWORK, form="small", num_classes=10).to(device)
    model = DistributedDataParallel(synchronise_batch_norm(network, device), **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    images = torch.randn(BATCH_SIZE, 3, SIDE_PX, SIDE_PX, device=device)
    labels = torch.zeros(BATCH_SIZE, dtype=torch.long, device=device)
    loss = nn.CrossEntropyLoss()

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        dist.barrier()

    def measure() -> float:
        finish()
        began = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            loss(model(images), labels).backward()
            optimizer.step()
        finish()
        return steps / (time.perf_counter() - began)

    measure()  # libraries choose their kernels
    return measure


def compared(device: torch.device, steps: int, pairs: int) -> list[Row]:
    """A row for each option; all ranks take part."""
    rows = []
    for name, option in OPTIONS.items():
        ours, other = stepper(device, steps, **option), stepper(device, steps)
        found = list(interleaved(ours, other, pairs))
        rows.append(row(f"DistributedDataParallel, {name}", "steps a second", found))
    return rows


def main() -> None:
    """Measure as one of torchrun's ranks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50)
    asked = parser.parse_args()
    on_gpu = torch.cuda.is_available()
    dist.init_process_group("nccl" if on_gpu else "gloo")
    device = torch.device("cuda", dist.get_rank()) if on_gpu else torch.device("cpu")
    rows = compared(device, asked.steps, asked.pairs)
    if dist.get_rank() == 0:
        show(rows, as_json=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
