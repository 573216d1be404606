"""Files like DAWNBench's, and what is imported from them."""

import json

from efficiency_bench.ledger.importers import import_file_or_folder

HEADER = "epoch\thours\ttop1Accuracy\ttop5Accuracy"
ROWS = (
    "1\t0.5\t10\t30",
    "2\t1.0\t50\t78",
    "3\t1.5\t52\t79.3",
    "4\t2.0\t51\t78.9",
    "5\t2.5\t53\t79.5",
    "6\t3.0\t54\t80",
    "7\t3.5\t55\t81",
)
TOO_LONG = "3" * 1_000_001


def written(folder, name="team_resnet50_gpu", rows=ROWS, header=HEADER, **about):
    """Write NAME.tsv and NAME.json and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.tsv").write_text("\n".join([header, *rows]) + "\n")
    about = {"version": "v1.0", "model": "ResNet50", "timestamp": "2018-04-20", **about}
    (folder / f"{name}.json").write_text(json.dumps(about, indent=2))
    return folder


def imported(folder, **options):
    return import_file_or_folder("dawnbench", folder, **options)


def only(folder, **options):
    got = imported(folder, **options)
    assert not got.skipped
    (entry,) = got.entries
    return entry


def reasons(got):
    return [str(skipped) for skipped in got.skipped]
