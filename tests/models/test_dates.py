"""The models' dates match the published table."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest
from omegaconf import OmegaConf

from efficiency_bench.models import MODELS
from tests.models.golden import AFTER_2020

PUBLICATIONS = {
    "AlexNet": "alexnet",
    "Vgg-11": "vgg11",
    "GoogLeNet": "googlenet",
    "Squeezenet_v1_1": "squeezenet1_1",
    "Resnet-18": "resnet18",
    "Resnet-34": "resnet34",
    "Resnet-50": "resnet50",
    "Wide_ResNet_50": "wide_resnet50_2",
    "ResNext_50": "resnext50_32x4d",
    "DenseNet121": "densenet121",
    "MobileNet_v1": "mobilenet_v1",
    "MobileNet_v2": "mobilenet_v2",
    "ShuffleNet_v1_1x": "shufflenet_v1",
    "ShuffleNet_v2_1x": "shufflenet_v2_x1_0",
    "ShuffleNet_v2_1_5x": "shufflenet_v2_x1_5",
    "EfficientNet-b0": "efficientnet_b0",
}


def published_dates() -> dict[str, str]:
    """Publication -> date of the rows at AlexNet's accuracy, a day or, in gray rows, a month."""
    table = files("efficiency_bench.reference") / "hernandez_brown_2020.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return {r["publication"]: r["date"] for r in rows if r["metric"].startswith("AlexNet (79.1%")}


def our_date(name: str) -> str:
    path = files("efficiency_bench.configs") / "model" / f"{name}.yaml"
    return str(OmegaConf.create(path.read_text(encoding="utf-8"))["published"])


def test_every_publication_is_a_model() -> None:
    assert set(PUBLICATIONS) == set(published_dates())
    assert set(PUBLICATIONS.values()) == set(MODELS) - {"vgg16"} - AFTER_2020


@pytest.mark.parametrize(("publication", "name"), list(PUBLICATIONS.items()))
def test_date(publication: str, name: str) -> None:
    published = published_dates()[publication]
    assert len(published) in (len("2014-09"), len("2014-09-17"))
    assert our_date(name)[: len(published)] == published, (
        f"configs/model/{name}.yaml: published must be {published}"
    )


def test_both_vggs_have_the_date_of_their_paper() -> None:
    assert our_date("vgg16") == our_date("vgg11")
