"""Which dataset a table is on, by folder, model and accuracies, and in which unit it is."""

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger.importers import import_file_or_folder
from tests.ledger.dawnbench_files import HEADER, imported, only, reasons, written

WITHOUT_TOP5 = "epoch\thours\ttop1Accuracy"
HIGH = ("1\t1\t94.2\t99.9", "2\t2\t94.4\t99.9")
MIDDLE = ("1\t1\t50\t75", "2\t2\t55\t79.5")


def one_column(rows):
    return tuple(row.rpartition("\t")[0] for row in rows)


@pytest.mark.parametrize(
    ("folder", "model", "header", "rows", "data"),
    [
        ("ImageNet/train", "mine", HEADER, MIDDLE, "imagenet"),
        ("ImageNet/train", "mine", WITHOUT_TOP5, one_column(MIDDLE), "imagenet"),
        ("CIFAR10/train", "ResNet50", HEADER, MIDDLE, "cifar10"),
        ("cifar-10", "mine", WITHOUT_TOP5, one_column(MIDDLE), "cifar10"),
        ("ImageNet/CIFAR10", "mine", HEADER, MIDDLE, "cifar10"),  # the nearest
        ("plain", "ResNet18 (CIFAR10)", HEADER, HIGH, "cifar10"),
        ("plain", "mine (ImageNet)", WITHOUT_TOP5, one_column(MIDDLE), "imagenet"),
        ("plain", "mine", HEADER, HIGH, "cifar10"),  # no top-1 on ImageNet is 94 %
        ("plain", "mine", WITHOUT_TOP5, one_column(HIGH), "cifar10"),
        ("plain", "mine", WITHOUT_TOP5, ("1\t1\t1.2", "2\t2\t50"), "imagenet"),
        ("plain", "mine", HEADER, ("1\t1\t9\t30", "2\t2\t50\t80"), "imagenet"),
        ("plain", "ResNet50", HEADER, MIDDLE, "imagenet"),
    ],
)
def test_folder_model_and_accuracies_identify_the_dataset(
    tmp_path, folder, model, header, rows, data
):
    got = imported(written(tmp_path / folder, rows=rows, header=header, model=model))
    assert [entry.data for entry in got.entries] == [data]
    if data == "cifar10":
        assert got.entries[0].target.metric == "top1"  # ten classes, whatever the columns


@pytest.mark.parametrize(
    ("folder", "model", "header", "rows", "why"),
    [
        ("plain", "mine", HEADER, MIDDLE, "do not say"),
        ("plain", "ResNet50", WITHOUT_TOP5, one_column(MIDDLE), "do not say"),
        ("ImageNet", "ResNet18 (CIFAR10)", HEADER, MIDDLE, "says imagenet, model"),
        ("ImageNet", "mine", HEADER, HIGH, "top-1 of 94.4% is not imagenet"),
        ("CIFAR10", "mine", HEADER, ("1\t1\t1\t4", "2\t2\t95\t99"), "epoch 1 is not cifar10"),
        ("plain", "mine", HEADER, ("1\t1\t1\t4", "2\t2\t95\t99"), "95.0% is not imagenet"),
        ("CIFAR100", "mine", HEADER, MIDDLE, "its folder says cifar100"),
        ("plain", "mine (cifar-100)", HEADER, HIGH, "says cifar100"),
    ],
)
def test_if_they_disagree_or_say_nothing_the_user_names_the_dataset(
    tmp_path, folder, model, header, rows, why
):
    folder = written(tmp_path / folder, rows=rows, header=header, model=model)
    got = imported(folder)
    assert got.entries == ()
    (reason,) = reasons(got)
    assert why in reason
    assert "--data imagenet or --data cifar10" in reason
    (entry,) = imported(folder, data="imagenet").entries
    assert entry.data == "imagenet"
    assert "as the user named it" in entry.end_detail


def test_an_unknown_or_redundant_dataset_is_rejected(tmp_path):
    with pytest.raises(UserError, match=r"unknown data 'cifar'.*did you mean cifar10"):
        imported(written(tmp_path), data="cifar")
    with pytest.raises(UserError, match=r"leave it out: .* import mllog PATH"):
        import_file_or_folder("mllog", tmp_path, data="imagenet")


def test_fractions_are_not_read_as_percent(tmp_path):
    rows = ("1\t0.1\t0.2\t0.4", "2\t0.2\t0.55\t0.78", "3\t0.3\t0.58\t0.805")
    got = imported(written(tmp_path, rows=rows))
    assert got.entries == ()
    assert reasons(got) == [
        "team_resnet50_gpu.tsv: no accuracy is over 1 %: are they fractions?"
        " the format uses percent"
    ]


def test_the_real_world_cases(cases):
    """Four tables with real layouts are identified, and none gives a wrong number."""
    folder = cases / "dawn"
    assert imported(folder / "no_top5").entries == ()
    assert only(folder / "no_top5", data="imagenet").target.metric == "top1"
    assert imported(folder / "fractions").entries == ()
    assert only(folder / "date_short").date == "2018-04-18"
    entry = only(folder / "cifar_with_top5")
    assert (entry.data, entry.target.metric, entry.first_epoch_at_target) == ("cifar10", "top1", 1)
