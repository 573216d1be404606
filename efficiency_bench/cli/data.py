"""`efficiency-bench data`: bring a data set into the form that a run reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from efficiency_bench.cli.shared import print_line, stderr_progress, stoppable
from efficiency_bench.provenance import usable_cores

CORES = usable_cores() or 1

Workers = Annotated[
    int,
    typer.Option(min=1, help="Processes that decode, at most the cores.", show_default="cores"),
]
AllowLeftOut = Annotated[
    bool,
    typer.Option(
        "--allow-left-out", help="Go on where over 20 % of a class or 5 % of a set is passed over."
    ),
]

app = typer.Typer(help="Bring data sets into the form that a run reads.")


@app.command("fetch")
def data_fetch(
    name: Annotated[Literal["cifar10", "cifar100"], typer.Argument(help="Which one.")],
    root: Annotated[Path, typer.Option(help="Folder to put it in, as data.root.")] = Path("data"),
) -> None:
    """Fetch a data set's published archive, check it and unpack it under --root.

    Broken off, the same command goes on where it stopped.  What is there already is left alone.
    """
    from efficiency_bench.data.cifar import ARCHIVES
    from efficiency_bench.data.fetch import fetch

    print_line(str(fetch(ARCHIVES[name].source, root)))


@app.command("cut-cifar10")
def cut_cifar10(
    out: Annotated[Path, typer.Argument(help="Folder to put the part in, as data.root.")],
    root: Annotated[Path, typer.Option(help="Folder of the whole CIFAR-10.")] = Path("data"),
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
        Literal["jpg", "raw"], typer.Option(help="Encode again as JPEG, or store pixels.")
    ] = "jpg",
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the JPEG.")] = 90,
    max_px: Annotated[
        int, typer.Option(min=16, max=4096, help="Longer side; larger images are reduced to it.")
    ] = 500,
    workers: Workers = CORES,
    allow_left_out: AllowLeftOut = False,
) -> None:
    """Store image folders as .beton files for data=imagenet_ffcv.

    Every image is read back before a file gets its name; its record lies beside it as JSON.  A
    file that is finished already is kept.
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
    """Check structure and content of .beton files against their records, reading every image."""
    from efficiency_bench.data.ffcv.splits import check_whole

    for record in check_whole(root):
        print_line(f"{root / record.file}: {record.images} images as they were written")


@app.command("write-memory")
def write_memory(
    source: Annotated[Path, typer.Argument(help="Folder with train/CLASS/ and val/CLASS/.")],
    out: Annotated[Path, typer.Argument(help="Folder for train.npy and val.npy.")],
    side_px: Annotated[
        int, typer.Option(min=16, max=1024, help="Side of the stored squares.")
    ] = 160,
    workers: Workers = CORES,
    allow_left_out: AllowLeftOut = False,
) -> None:
    """Store image folders as squares of pixels for data=imagenet_memory.

    Each image's shorter side is resized and its centre kept.  ImageNet takes 65 GB at 128 px and
    102 GB at 160 px.  A file gets its name when it was read again; its record lies beside it as
    JSON.  A file that is finished already is kept.
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
    """Check structure and content of stored squares against their records, reading every byte."""
    from efficiency_bench.data.memmap_images import check_whole

    for record in check_whole(root):
        print_line(f"{root / record.file}: {record.images} images as they were written")


def _tell(line: str) -> None:
    print_line(line, error=True)


def _within_cores(workers: int) -> int:
    from efficiency_bench.data.loader import within_cores

    usable, notes = within_cores(workers, f"--workers {workers}")
    for note in notes:
        _tell(note)
    return usable
