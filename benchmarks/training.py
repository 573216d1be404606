"""Training small networks: ours against torchvision's reference loop, in images per second.

Same images, network, batch, crops, flips, loss, optimizer and threads.  The opponent reads PNG
files through ImageFolder, Pillow, torchvision's transforms and a DataLoader with as many workers
as there are cores, and looks at loss and accuracy every step, as references/classification/train.py
of torchvision does.  Ours holds the images in memory and evaluates nothing while timed.

The opponent has a process of its own, so that it keeps its own way with memory, and its turn is
an epoch of a part of the images, so that its workers read nothing ahead in our turn.
`python benchmarks/loaders.py` runs it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from blocks import BLOCK_STEPS, harness, job, settings, without_evaluation
from PIL import Image
from rows import Row, interleaved, row
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from efficiency_bench.data import cifar
from efficiency_bench.data.image_set import ImageSet
from efficiency_bench.models import build_model
from efficiency_bench.run.setup import model_arguments

PAIRS = 5
NETWORKS = ("alexnet", "resnet18", "squeezenet1_1", "shufflenet_v2_x1_0", "efficientnet_b0")
"""Small forms of 4 to 45 million forward MACs per image."""
SAME = (
    "data=cifar10",
    "recipe.batch_size=64",
    "recipe.optimizer.name=sgd",
    "recipe.optimizer.lr=0.01",
    "recipe.optimizer.momentum=0.9",
    "recipe.optimizer.weight_decay=1e-4",
    "recipe.augmentation.crop_pad_px=2",
    "recipe.augmentation.flip=true",
    "recipe.label_smoothing=0",
    "recipe.ema_decay=0",
)
IMAGES = 10_000
TURN_STEPS = 2 * BLOCK_STEPS
"""Steps that one side trains before the other has its turn."""


def plant_parts(root: Path) -> Path:
    """A CIFAR-10 archive whose images are parts of two photographs, at random places."""
    generator = np.random.default_rng(0)
    whole = [Image.fromarray(photograph) for photograph in load_sample_images().images]
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for name in names:
        pixels = np.empty((IMAGES // 5, 3, 32, 32), dtype=np.uint8)
        for place in range(len(pixels)):
            photograph = whole[place % 2]
            side = int(generator.integers(64, 400))
            left = int(generator.integers(photograph.width - side))
            top = int(generator.integers(photograph.height - side))
            part = photograph.resize((32, 32), box=(left, top, left + side, top + side))
            pixels[place] = np.asarray(part).transpose(2, 0, 1)
        labels = generator.integers(0, 10, len(pixels)).tolist()
        content = {"data": pixels.reshape(len(pixels), -1), "labels": labels}
        (folder / name).write_bytes(pickle.dumps(content))
    classes = {"label_names": [f"class{number}" for number in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(classes))
    return root


def as_files(root: Path, folder: Path) -> Path:
    """Write the training images as (lossless) PNG files, one folder per class."""
    return write_files(cifar.load("cifar10", root, download=False).train, folder)


def write_files(images: ImageSet, folder: Path) -> Path:
    """Write images as PNG files, one folder per class."""
    for number, (pixels, label) in enumerate(zip(images.images, images.labels, strict=True)):
        place = folder / images.classes[int(label)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(place / f"{number:05}.png")
    return folder


def opponent(turns: Connection, network: str, files: Path, workers: int) -> None:
    """torchvision's loop on the same network: seconds of an epoch for each word on ``turns``.

    Built without what prepares a run's process.
    """
    run = settings(network, *SAME)
    arguments, _ = model_arguments(run)
    model = build_model(
        run.model.name,
        form=run.form,
        num_classes=10,
        image_px=run.data.image_px,
        scale=run.model.scale,
        width=run.model.width,
        **arguments,
    ).train()
    transform = v2.Compose(
        [
            v2.RandomCrop(32, padding=2),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
        ]
    )
    images = TURN_STEPS * run.recipe.batch_size
    part = Subset(ImageFolder(str(files), transform), torch.randperm(IMAGES)[:images].tolist())
    loader = DataLoader(
        part, run.recipe.batch_size, shuffle=True, num_workers=workers, persistent_workers=True
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    shown: list[tuple[float, float, float]] = []
    while turns.recv():
        began = time.perf_counter()
        for pixels, labels in loader:
            output = model(pixels)
            loss = F.cross_entropy(output, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            best = output.topk(5, dim=1).indices == labels[:, None]
            shown.append((loss.item(), best[:, 0].sum().item(), best.sum().item()))
        turns.send(time.perf_counter() - began)


@contextlib.contextmanager
def started(network: str, files: Path) -> Iterator[Callable[[], float]]:
    """The opponent in a process of its own; each call is a turn of it, in seconds."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=opponent, args=(there, network, files, os.cpu_count() or 1)
    )
    process.start()

    def turn() -> float:
        here.send(True)
        return float(here.recv())

    try:
        yield turn
    finally:
        here.send(False)
        process.join()


def rows(folder: Path, root: Path | None) -> Iterator[Row]:
    """Return a row per network on the CIFAR-10 archive in ``root``, or on parts of photographs."""
    root = root or plant_parts(folder)
    files = as_files(root, folder / "files")
    for network in NETWORKS:
        run = without_evaluation(job(network, *SAME, f"data.root={root}"))
        blocks, images = harness(run), TURN_STEPS * run.recipe.batch_size

        def ours(blocks: Iterator[None] = blocks, images: int = images) -> float:
            began = time.perf_counter()
            for _ in range(TURN_STEPS // BLOCK_STEPS):
                next(blocks)
            return images / (time.perf_counter() - began)

        with started(network, files) as turn:

            def theirs(turn: Callable[[], float] = turn, images: int = images) -> float:
                return images / turn()

            ours(), theirs()  # workers start, and files enter the page cache
            pairs = list(interleaved(ours, theirs, PAIRS))
        yield row(f"loaders/training {network}", "images a second", pairs)
