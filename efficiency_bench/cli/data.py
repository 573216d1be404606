"""`efficiency-bench data`: download, store and check data sets for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from efficiency_bench.cli.shared import print_line, stderr_progress, stoppable
from efficiency_bench.provenance import usable_cores

CORES = usable_cores() or 1

Workers = Annotated[
    int,
    typer.Option(min=1, help="Decoding processes, at most the CPU cores.", show_default="cores"),
]
AllowLeftOut = Annotated[
    bool,
    typer.Option(
        "--allow-left-out",
        help="Proceed even if more than 20 % of a class or 5 % of a set is skipped.",
    ),
]

app = typer.Typer(help="Download, store and check data sets for training.")


@app.command("fetch")
def data_fetch(
    name: Annotated[Literal["cifar10", "cifar100"], typer.Argument(help="Data set.")],
    root: Annotated[Path, typer.Option(help="Folder for the data: data.root of a run.")] = Path(
        "data"
    ),
) -> None:
    """Download the published archive of a data set, check it, and unpack it into --root.

    After an interruption, run the same command again to resume.  An existing folder is kept.
    """
    from efficiency_bench.data.cifar import ARCHIVES
    from efficiency_bench.data.fetch import fetch

    print_line(str(fetch(ARCHIVES[name].source, root)))


@app.command("cut-cifar10")
def cut_cifar10(
    out: Annotated[Path, typer.Argument(help="Folder for the subset: data.root of a run.")],
    root: Annotated[Path, typer.Option(help="Folder with the complete CIFAR-10.")] = Path("data"),
) -> None:
    """Cut the 10,000 + 2,000 images that are measured on here from the whole CIFAR-10.

    The images are compared with the digest that every entry trained on them carries.
    """
    from efficiency_bench.data.cifar10_subset import cut

    print_line(str(cut(root, out)))


@app.command("write-ffcv")
def write_ffcv(
    source: Annotated[Path, typer.Argument(help="Folder with train/CLASS/ and val/CLASS/.")],
    out: Annotated[Path, typer.Argument(help="Folder for train.beton and val.beton.")],
    mode: Annotated[
        Literal["jpg", "raw"], typer.Option(help="Re-encode as JPEG, or store pixels.")
    ] = "jpg",
    quality: Annotated[int, typer.Option(min=1, max=100, help="JPEG quality.")] = 90,
    max_px: Annotated[
        int, typer.Option(min=16, max=4096, help="Longest side; larger images are reduced to it.")
    ] = 500,
    workers: Workers = CORES,
    allow_left_out: AllowLeftOut = False,
) -> None:
    """Store image folders as .beton files for data=imagenet_ffcv.

    Every image is read back before a file gets its final name, and a JSON record is written next
    to it.  An existing finished file is kept.
    """
    from efficiency_bench.data.ffcv.beton import Storage
    from efficiency_bench.data.ffcv.write import FfcvOptions
    from efficiency_bench.data.ffcv.write import write_ffcv as write

    storage = Storage(mode=mode, jpeg_quality=quality if mode == "jpg" else None, max_px=max_px)
    with stoppable(), stderr_progress() as progress:
        options = FfcvOptions(source, out, storage, _within_cores(workers), allow_left_out)
        records = write(options, progress, _tell)
    for record in records:
        print_line(f"{out / record.file}: {record.images} images, {record.bytes / 1e6:.1f} MB")


@app.command("check-ffcv")
def check_ffcv(
    root: Annotated[Path, typer.Argument(help="Folder with train.beton and val.beton.")],
) -> None:
    """Check the structure and content of .beton files against their records; reads every image."""
    from efficiency_bench.data.ffcv.splits import check_whole

    for record in check_whole(root):
        print_line(f"{root / record.file}: {record.images} images, unchanged")


@app.command("write-memory")
def write_memory(
    source: Annotated[Path, typer.Argument(help="Folder with train/CLASS/ and val/CLASS/.")],
    out: Annotated[Path, typer.Argument(help="Folder for train.npy and val.npy.")],
    side_px: Annotated[
        int, typer.Option(min=16, max=1024, help="Side of the stored images, px.")
    ] = 160,
    workers: Workers = CORES,
    allow_left_out: AllowLeftOut = False,
) -> None:
    """Store image folders as square images in .npy files for data=imagenet_memory.

    The shorter side of each image is resized, and the centre is kept.  ImageNet needs 65 GB at
    128 px and 102 GB at 160 px.  A file is read back before it gets its final name, and a JSON
    record is written next to it.  An existing finished file is kept.
    """
    from efficiency_bench.data.memmap_images import MemmapOptions, write_memmap

    with stoppable(), stderr_progress() as progress:
        options = MemmapOptions(source, out, side_px, _within_cores(workers), allow_left_out)
        records = write_memmap(options, progress, _tell)
    for record in records:
        print_line(f"{out / record.file}: {record.images} images, {record.bytes / 1e6:.1f} MB")


@app.command("check-memory")
def check_memory(
    root: Annotated[Path, typer.Argument(help="Folder with train.npy and val.npy.")],
) -> None:
    """Check the structure and content of .npy files against their records; reads every byte."""
    from efficiency_bench.data.memmap_images import check_whole

    for record in check_whole(root):
        print_line(f"{root / record.file}: {record.images} images, unchanged")


def _tell(line: str) -> None:
    print_line(line, error=True)


def _within_cores(workers: int) -> int:
    from efficiency_bench.data.loader import within_cores

    usable, notes = within_cores(workers, f"--workers {workers}")
    for note in notes:
        _tell(note)
    return usable
