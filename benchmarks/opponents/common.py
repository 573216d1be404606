"""What the opponents of `races.py` share: arguments, network, data and the sign of the first step.

The data is read as torchvision's reference does: files in class folders, ImageFolder, Pillow,
transforms, and a DataLoader with workers that stay.  With --memory the images are tensors from the
start, and each batch is cropped and flipped as a whole.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import timm
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, default_collate
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

FIRST_STEP = "first step is done"
"""Printed once, so that `races.py` can read the time."""

CIFAR_PX = 32
"""Side of CIFAR-10's images; larger ones are photographs."""

STATISTICS = {
    True: ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    False: ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
}
"""Whether the images are CIFAR-10's -> mean and standard deviation; else ImageNet's."""

RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 1e-4


def arguments(description: str) -> argparse.Namespace:
    """The arguments that `races.py` gives."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="holds train/ and val/")
    parser.add_argument("--memory", action="store_true", help="read train.pt and val.pt")
    parser.add_argument("--model", required=True, help="a network of timm")
    for name in ("epochs", "px", "batch", "threads", "workers"):
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
    small = asked.px == CIFAR_PX
    to_tensor = [
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(*STATISTICS[small]),
    ]
    crop = v2.RandomCrop(32, padding=2) if small else v2.RandomResizedCrop(asked.px)
    augmented = v2.Compose([crop, v2.RandomHorizontalFlip(), *to_tensor])
    middle = [] if small else [v2.Resize(asked.px * 256 // 224), v2.CenterCrop(asked.px)]
    plain = v2.Compose([*middle, *to_tensor])

    def from_files(part: str, transform: v2.Compose, shuffle: bool) -> DataLoader:
        return DataLoader(
            ImageFolder(str(asked.data / part), transform),
            asked.batch,
            shuffle=shuffle,
            num_workers=asked.workers,
            persistent_workers=asked.workers > 0,
        )

    def from_memory(part: str, transform: v2.Compose, shuffle: bool) -> DataLoader:
        def transformed(samples: list) -> tuple[torch.Tensor, torch.Tensor]:
            images, labels = default_collate(samples)
            return transform(images), labels

        dataset = TensorDataset(*torch.load(asked.data / f"{part}.pt", weights_only=True))
        return DataLoader(dataset, asked.batch, shuffle=shuffle, collate_fn=transformed)

    loader = from_memory if asked.memory else from_files
    return loader("train", augmented, True), loader("val", plain, False)


def say_first_step() -> None:
    """Tell `races.py` that the first step is done."""
    print(FIRST_STEP, flush=True)
