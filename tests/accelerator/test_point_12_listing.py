"""A folder of images is listed once, by rank 0, whose list the others receive."""

import json

import pytest
import torch

from efficiency_bench.data import build, folder
from efficiency_bench.data.folder import PhotoSet
from efficiency_bench.data.loader import Shard
from efficiency_bench.errors import UserError
from efficiency_bench.run import processes
from efficiency_bench.run.run import run
from efficiency_bench.run.worker import Rank0Broadcast
from efficiency_bench.training.ranks import Ranks
from tests.data.photos import plant
from tests.distributed.starting import together
from tests.tiny import composed


def config_of(root, folder_):
    return composed(
        *(
            "experiment=alexnet",
            "data=folder",
            f"data.root={root}",
            "data.image_px=32",
            "form=small",
        ),
        *("data.workers=0", "recipe.epochs=1", "recipe.batch_size=4", "target.value=0.99"),
        *("device=cpu", "threads=1", "tracking.wandb=false"),
        *(f"run_dir={folder_ / 'run'}", f"ledger_dir={folder_ / 'ledger'}"),
    )


def train_and_note_who_lists(root, folder_, wrong):
    rank = processes.this_process().rank
    scan, scanned = folder.scan, []
    folder.scan = lambda where: (scanned.append(str(where)), scan(where))[1]
    config = config_of(root, folder_)
    if wrong and rank == 0:
        config.data.root = str(root / "nowhere")
    try:
        code = run(config).exit_code
    except UserError as error:
        code = str(error)
    processes.leave()
    (folder_ / f"{rank}.json").write_text(json.dumps([code, len(scanned)]))


def outcomes(folder_):
    return [json.loads((folder_ / f"{rank}.json").read_text()) for rank in range(2)]


def test_point_12_only_rank_0_lists_and_both_train(tmp_path):
    root = plant(tmp_path / "photos", 12, 20)
    together(2, train_and_note_who_lists, root, tmp_path, False)
    assert outcomes(tmp_path) == [[0, 2], [0, 0]]


def test_point_12_a_missing_folder_is_reported_by_rank_0_and_no_rank_hangs(tmp_path):
    root = plant(tmp_path / "photos", 12, 20)
    together(2, train_and_note_who_lists, root, tmp_path, True)
    (told, _), (code, scanned) = outcomes(tmp_path)
    assert "nowhere" in told
    assert (code, scanned) == (0, 0)


def test_point_12_the_list_is_sent_before_rank_0_compares_the_files(tmp_path, monkeypatch):
    root = plant(tmp_path / "photos", 12, 20)
    done = []
    monkeypatch.setattr(Ranks, "broadcast", lambda self, message: done.append("sent"))
    compare = build.train_val_overlap.compare_files
    monkeypatch.setattr(
        build.train_val_overlap,
        "compare_files",
        lambda *files: (done.append("compared"), compare(*files))[1],
    )
    ranks = Ranks(Shard(0, 2))
    config = config_of(root, tmp_path)
    cpu, shard = torch.device("cpu"), ranks.shard
    listed = Rank0Broadcast(ranks).listed
    build.build_data(config.data, config.recipe, 0, cpu, shard, listed=listed)
    assert done == ["sent", "compared"]


def test_point_12_a_list_keeps_paths_sizes_labels_and_the_digest(tmp_path):
    root = plant(tmp_path / "photos", 12, 20)
    splits = folder.load(root, None, None)
    sent = json.loads(json.dumps([splits.train.listing(), splits.val.listing()]))
    again = folder.PhotoSplits(*map(PhotoSet.listed, sent))
    assert again.digest() == splits.digest()
    assert torch.equal(again.train.labels, splits.train.labels)


@pytest.mark.parametrize("change", ["missing", "larger"])
def test_point_12_a_machine_with_other_files_is_refused(change, tmp_path):
    from efficiency_bench.run.worker import _received

    root = plant(tmp_path / "photos", 12, 20)
    splits = folder.load(root, None, None)
    listing = {"train": splits.train.listing(), "val": splits.val.listing()}
    path = splits.val.path(0)
    if change == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UserError, match="same files on every machine"):
        _received(listing, processes.Process(1, 2, 1))
