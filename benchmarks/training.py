"""Training small networks: ours against the loop of torchvision's reference, images a second.

Same images, network, batch, crops, flips, optimizer and threads; ours with whatever else the recipe
asks for (smoothed labels, an average of the weights).  The opponent reads PNG files
through ImageFolder, Pillow, torchvision's transforms and a DataLoader with as many workers as there
are cores, and looks at loss and accuracy every step, as references/classification/train.py of
torchvision does.  Ours holds the images in memory and evaluates nothing while timed.  Blocks of
steps alternate.  `python benchmarks/loaders.py` runs it.
"""

from __future__ import annotations

import itertools
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from overhead import BLOCK_STEPS, harness, job, seconds_of, without_evaluation
from PIL import Image
from rows import Row, interleaved, row
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from efficiency_bench.data import cifar
from efficiency_bench.training.trainer import Job

PAIRS = 7
NETWORKS = ("alexnet", "resnet18", "squeezenet1_1", "shufflenet_v2_x1_0", "efficientnet_b0")
"""Small forms of 6 to 35 million forward MACs an image."""
SAME = (
    "data=cifar10",
    "recipe.batch_size=64",
    "recipe.optimizer.name=sgd",
    "recipe.optimizer.lr=0.01",
    "recipe.optimizer.momentum=0.9",
    "recipe.optimizer.weight_decay=1e-4",
    "recipe.augmentation.crop_pad_px=2",
    "recipe.augmentation.flip=true",
)
IMAGES = 10_000


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
    """The training images as PNG files, which lose nothing, in a folder a class."""
    images = cifar.load("cifar10", root, download=False).train
    for number, (pixels, label) in enumerate(zip(images.images, images.labels, strict=True)):
        place = folder / images.classes[int(label)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(place / f"{number:05}.png")
    return folder


def opponent(run: Job, files: Path, workers: int) -> Iterator[None]:
    """torchvision's loop on the same network, a block of steps at a time."""
    transform = v2.Compose(
        [
            v2.RandomCrop(32, padding=2),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
        ]
    )
    loader = DataLoader(
        ImageFolder(str(files), transform),
        run.recipe.batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
    )
    model = run.model.to(memory_format=torch.contiguous_format).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    shown: list[tuple[float, float, float]] = []
    steps = 0
    for _ in itertools.count():
        for images, labels in loader:
            output = model(images)
            loss = F.cross_entropy(output, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            best = output.topk(5, dim=1).indices == labels[:, None]
            shown.append((loss.item(), best[:, 0].sum().item(), best.sum().item()))
            steps += 1
            if steps % BLOCK_STEPS == 0:
                yield


def rows(folder: Path, root: Path | None) -> Iterator[Row]:
    """A row a network on the CIFAR-10 archive in ``root``; None: on parts of photographs."""
    root = root or plant_parts(folder)
    files = as_files(root, folder / "files")
    for network in NETWORKS:
        changes = (*SAME, f"data.root={root}")
        ours = without_evaluation(job(network, *changes))
        theirs = opponent(job(network, *changes), files, os.cpu_count() or 1)
        blocks = harness(ours)
        images = ours.recipe.batch_size

        def rate(steps: Iterator[None], images: int = images) -> float:
            return images / seconds_of(steps)

        rate(blocks), rate(theirs)  # workers start, files come into memory
        pairs = interleaved(
            lambda blocks=blocks: rate(blocks), lambda theirs=theirs: rate(theirs), PAIRS
        )
        yield row(f"loaders/training {network}", "images a second", list(pairs))
