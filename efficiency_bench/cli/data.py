"""`efficiency-bench data`: get data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(help="Get data sets.")


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

    print(fetch(ARCHIVES[name].source, root))
