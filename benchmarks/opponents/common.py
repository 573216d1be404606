"""What the opponents of `races.py` share: arguments, network, data and the sign of the first step.

The data is read as torchvision's reference does: PNG files in class folders, ImageFolder, Pillow,
transforms, and a DataLoader with workers that stay.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import timm
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

FIRST_STEP = "first step is done"
"""Printed once, so that `races.py` can read the time."""

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]
"""CIFAR-10's, per channel over the 50,000 training images."""

RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 1e-4


def arguments(description: str) -> argparse.Namespace:
    """The arguments that `races.py` gives."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="holds train/ and val/")
    parser.add_argument("--model", required=True, help="a network of timm")
    for name in ("epochs", "batch", "threads", "workers"):
        parser.add_argument(f"--{name}", type=int, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    return asked


def network(asked: argparse.Namespace) -> nn.Module:
    """The network, untrained, in the faster memory layout."""
    classes = sum(1 for _ in (asked.data / "train").iterdir())
    model = timm.create_model(asked.model, pretrained=False, num_classes=classes)
    return model.to(memory_format=torch.channels_last)


def optimizer(
    model: nn.Module, epochs: int
) -> tuple[torch.optim.SGD, torch.optim.lr_scheduler.LRScheduler]:
    """SGD, and a cosine schedule that is stepped every epoch."""
    sgd = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    return sgd, torch.optim.lr_scheduler.CosineAnnealingLR(sgd, epochs)


def loaders(asked: argparse.Namespace) -> tuple[DataLoader, DataLoader]:
    """Training batches, cropped and flipped, and validation batches."""
    to_tensor = [
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ]
    augmented = v2.Compose([v2.RandomCrop(32, padding=2), v2.RandomHorizontalFlip(), *to_tensor])

    def loader(part: str, transform: v2.Compose, shuffle: bool) -> DataLoader:
        return DataLoader(
            ImageFolder(str(asked.data / part), transform),
            asked.batch,
            shuffle=shuffle,
            num_workers=asked.workers,
            persistent_workers=asked.workers > 0,
        )

    return loader("train", augmented, True), loader("val", v2.Compose(to_tensor), False)


def say_first_step() -> None:
    """Tell `races.py` that the first step is done."""
    print(FIRST_STEP, flush=True)
