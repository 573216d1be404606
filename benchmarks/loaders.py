"""Image loading against ImageFolder with a DataLoader, in images per second.

Reading photographs, no model.  Both crop, flip and normalise training images to 224 px in two
worker processes or threads, up to the batch in memory.  The opponent is what torchvision's
reference does: Pillow, its transforms, float output, workers that stay.  Passes alternate, so that
a busy machine slows both, and the median ratio of the pairs is reported.

FFCV's rows need `make ffcv` and are left out, saying so, without it.  `memory/160px` holds squares
of 160 px and crops them to 128 px, as its opponent does with the files.

Training small networks from memory, against the loop of torchvision's reference: `training.py`.
DIR holds cifar-10-batches-py; without it the images are parts of photographs.

    python benchmarks/loaders.py [--pairs N] [--images N] [--cifar DIR] [--json]
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import training
from hydra import compose, initialize_config_module
from photographs import plant_photographs
from rows import Row, row, show
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from efficiency_bench import config, hydra_app  # noqa: F401  (hydra_app: the schema)
from efficiency_bench.data import Data, build_data
from efficiency_bench.data.ffcv.beton import Storage
from efficiency_bench.data.ffcv.write import FfcvOptions, write_ffcv
from efficiency_bench.data.memmap_images import MemmapOptions, write_memmap

WORKERS = 2
BATCH = 64
IMAGE_PX = 224
SQUARES_PX, OF_SQUARES_PX = 160, 128
"""Side of the squares in memory, and of the images that are cropped from them."""

STORAGES = {
    "ffcv/500px": Storage(max_px=500),
    "ffcv/256px": Storage(max_px=256),
    "ffcv/500px-raw": Storage(mode="raw", jpeg_quality=None, max_px=500),
}

Pass = Callable[[], Iterable[Any]]
"""One epoch: batches of images and labels."""


def data(name: str, root: Path, *overrides: str) -> Data:
    """Return the data settings of resnet18's recipe: a random resized crop and a flip."""
    settings = [f"data={name}", f"data.root={root}", f"data.workers={WORKERS}", *overrides]
    with initialize_config_module("efficiency_bench.configs", version_base="1.3"):
        composed = compose("train", overrides=["experiment=resnet18", *settings])
    run = config.load(composed)
    return build_data(run.data, run.recipe, 0, torch.device("cpu"))


def ours(loaded: Data, side_px: int = IMAGE_PX) -> Pass:
    """Return a function that reads the next epoch with our loader."""
    epochs = iter(range(10**6))
    return lambda: loaded.train.epoch(next(epochs), BATCH, side_px)


def image_folder(root: Path, side_px: int) -> Pass:
    """The opponent: ImageFolder, torchvision's transforms and a DataLoader whose workers stay."""
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(side_px, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    loader = DataLoader(
        ImageFolder(str(root / "train"), transform),
        BATCH,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
    )
    return lambda: loader


def rate(epoch: Pass) -> float:
    """Return the images per second of one epoch."""
    began, images = time.perf_counter(), 0
    for _, labels in epoch():
        images += len(labels)
    return images / (time.perf_counter() - began)


def rows(
    folder: Path, images: int, pairs: int, progress: Callable[[str, int, int], None]
) -> Iterator[Row]:
    """Compare each of our readers with the opponent, in alternating passes."""
    photographs = plant_photographs(folder / "photographs", images, 8)
    competitors = {
        f"folder/{decode}": ours(data("imagenet", photographs, f"data.decode={decode}"))
        for decode in ("pillow", "simplejpeg")
    }
    for name, storage in STORAGES.items() if importlib.util.find_spec("ffcv") else ():
        out = folder / name.replace("/", "-")
        write_ffcv(FfcvOptions(photographs, out, storage, WORKERS), progress)
        competitors[name] = ours(data("imagenet_ffcv", out))
    opponent = image_folder(photographs, IMAGE_PX)
    races = {name: (epoch, opponent) for name, epoch in competitors.items()}
    squares = folder / "squares"
    write_memmap(MemmapOptions(photographs, squares, SQUARES_PX, WORKERS), progress)
    races[f"memory/{SQUARES_PX}px"] = (
        ours(data("imagenet_memory", squares), OF_SQUARES_PX),
        image_folder(photographs, OF_SQUARES_PX),
    )
    for epoch in dict.fromkeys(itertools.chain(*races.values())):
        rate(epoch)  # workers start, and files enter the page cache
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in races}
    for done in range(pairs):
        for name, (epoch, other) in races.items():
            rates[name].append((rate(epoch), rate(other)))
        progress("rounds", done + 1, pairs)
    for name, measured in rates.items():
        yield row(f"loaders/{name}", "images a second", measured)


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--cifar", type=Path)
    asked = parser.parse_args()
    if importlib.util.find_spec("ffcv") is None:
        print("FFCV is not installed (make ffcv): its rows are left out", file=sys.stderr)

    def progress(what: str, done: int, total: int) -> None:
        if done == total:
            print(f"{what}: {done}", file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder:
        read = rows(Path(folder), asked.images, asked.pairs, progress)
        show(itertools.chain(read, training.rows(Path(folder), asked.cifar)), asked.json)


if __name__ == "__main__":
    main()
