"""The committed table of every network, and a sample of it counted again."""

import importlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from benchmarks import every_network, norm_shapes
from efficiency_bench.errors import UserError

SAMPLE = (
    *(("torchvision", name) for name in ("alexnet", "mobilenet_v3_small", "squeezenet1_1")),
    *(("timm", name) for name in ("convnext_zepto_rms", "lcnet_035", "pit_ti_224", "test_byobnet")),
    *(("timm", name) for name in ("test_nfnet", "test_vit", "tinynet_e")),
)

CONV = nn.Conv2d(3, 2, 1)


@pytest.mark.parametrize(("library", "name"), SAMPLE)
def test_a_sample_counts_as_in_the_table(library: str, name: str) -> None:
    rows = {(row.library, row.name): row for row in every_network.read(every_network.TABLE)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert every_network.count(every_network.LIBRARIES[library][1](name)) == rows[library, name]


def test_the_table_is_sorted_and_nothing_in_it_differs() -> None:
    rows = every_network.read(every_network.TABLE)
    names = [(row.library, row.name) for row in rows]
    assert names == sorted(set(names))
    assert {row.verdict for row in rows} <= {"agrees", "refused", "does not fit"}
    for row in rows:
        assert (row.verdict == "refused") == bool(row.operator)
        assert (row.verdict == "agrees") == (row.backward_macs is not None)


def test_published_macs_of_the_same_networks() -> None:
    """MACs that torchvision prints with its weights, in units of 10^9, to three decimals."""
    from torchvision.models import get_model_weights

    rows = {
        row.name: row
        for row in every_network.read(every_network.TABLE)
        if row.library == "torchvision"
    }
    for name in ("alexnet", "mobilenet_v3_small", "squeezenet1_1"):
        published = get_model_weights(name).DEFAULT.meta["_ops"]
        assert round(rows[name].forward_macs / 1e9, 3) == published


def test_a_row_is_put_in_its_place_once(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    late = every_network.Row("b", "timm", "8", 1, 2, 4, 2.0, "agrees", "")
    early = every_network.Row("a", "timm", "8", None, None, None, None, "does not fit", "")
    for row in (late, early, late._replace(px="16")):
        every_network.add(table, row)
    assert every_network.read(table) == [early, late._replace(px="16")]


def test_parts_are_disjoint_and_leave_nothing_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(every_network, "TABLE", tmp_path / "none.csv")
    parts = [every_network.asked_networks("torchvision", f"{k}/3", ()) for k in (1, 2, 3)]
    names = [network.name for part in parts for network in part]
    assert sorted(names) == every_network.LIBRARIES["torchvision"][0]()
    with pytest.raises(UserError, match="type --part 3/8"):
        every_network.asked_networks(None, "4/3", ())


@pytest.mark.parametrize(("px", "image"), [("8", (8, 8)), ("8x6", (8, 6))])
def test_the_sides_of_an_image(px: str, image: tuple[int, int]) -> None:
    assert every_network.sides(px) == image
    network = every_network.Network("own", "timm", px, lambda: nn.Sequential(CONV, nn.Flatten()))
    row = every_network.count(network)
    assert (row.px, row.forward_macs) == (px, 3 * 2 * image[0] * image[1])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_shapes_of_norms_are_torchs(layout: torch.memory_format) -> None:
    aten = torch.ops.aten
    x = torch.empty(2, 6, 4, 8, device="meta").to(memory_format=layout)
    six, eight = (torch.empty(size, device="meta") for size in (6, 8))
    every = [True, True, True]
    batch = (x, six, six, six, six, True, 0.1, 1e-5)
    layer = (x, [8], eight, eight, 1e-5)
    _, mean, scale = aten.native_layer_norm(*layer)
    for ours, torchs, arguments in (
        (norm_shapes.batch_norm, aten.native_batch_norm, batch),
        (norm_shapes.layer_norm, aten.native_layer_norm, layer),
        (
            norm_shapes.batch_norm_backward,
            aten.native_batch_norm_backward,
            (x, x, six, six, six, six, six, True, 1e-5, every),
        ),
        (
            norm_shapes.layer_norm_backward,
            aten.native_layer_norm_backward,
            (x, x, [8], mean, scale, eight, eight, every),
        ),
    ):
        found, expected = ours(*arguments), torchs(*arguments)
        assert [each.shape for each in found] == [each.shape for each in expected]


def _network(build: Callable[[], nn.Module]) -> object:
    return every_network.Network("own", "timm", "8", build)


def test_a_network_without_room_does_not_fit() -> None:
    def build() -> nn.Module:
        raise MemoryError

    assert every_network.count_apart(_network(build)).verdict == "does not fit"


def test_a_network_that_fails_has_no_row() -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        every_network.count_apart(_network(lambda: os._exit(3)))
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
        every_network.count_apart(_network(lambda: 1 / 0))


def test_a_network_that_looks_at_a_value_is_counted_with_real_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Deciding(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1) if x.sum() > 0 else -x.flatten(1)

    def build() -> nn.Module:
        widths = torch.arange(4, 5).tolist()  # impossible on the meta device
        return nn.Sequential(nn.Conv2d(3, *widths, 1), Deciding())

    row = every_network.count(_network(build))
    assert (row.verdict, row.forward_macs, row.backward_macs) == ("agrees", 64 * 12, 64 * 12)
    assert "own: counted with real numbers" in capsys.readouterr().err


def test_an_unknown_operator_refuses_a_network() -> None:
    class Fraction(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).frac()

    row = every_network.count(_network(lambda: nn.Conv2d(3, 4, 1)))
    assert (row.verdict, row.operator) == ("refused", "output")
    row = every_network.count(_network(lambda: nn.Sequential(nn.Conv2d(3, 4, 1), Fraction())))
    assert (row.verdict, row.operator, row.forward_macs) == ("refused", "aten::frac", None)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(every_network.__file__).parent))
    return importlib.import_module("write_every_network")


ROWS = [
    every_network.Row("a", "timm", "8", 1, 10, 15, 1.5, "agrees", ""),
    every_network.Row("b", "timm", "8", 1, None, None, None, "refused", "aten::x aten::y"),
    every_network.Row("c", "timm", "8", None, None, None, None, "does not fit", ""),
    every_network.Row("d", "torchvision", "8", 1, 10, 20, 2.0, "agrees", ""),
    every_network.Row("e", "torchvision", "8", 1, None, None, None, "refused", "aten::x"),
]


def test_the_tables_of_the_page(page: ModuleType) -> None:
    assert "| 3 | 1 | 1 | 1 | 0 |" in page.verdicts(ROWS).splitlines()[2]
    assert page.refused(ROWS).splitlines()[2:] == [
        "| `aten::x` | 2 | b, e |",
        "| `aten::y` | 1 | b |",
    ]
    assert page.distribution(ROWS).splitlines()[2].startswith("| 1.500 | 1.500 |")
    assert page.extremes(ROWS).splitlines()[-1] == "| d | torchvision | 8 | 0.000 | 2.000 |"


def test_a_published_figure_is_off_beyond_one_percent_and_its_rounding(page: ModuleType) -> None:
    assert page.is_close(1.0149, 1.00)
    assert not page.is_close(1.0151, 1.00)
    assert page.is_close(0.0347, 0.03)


def test_the_page_has_the_committed_table(page: ModuleType) -> None:
    written, rows = page.PAGE.read_text(encoding="utf-8"), every_network.read(every_network.TABLE)
    for name in ("verdicts", "refused", "distribution", "extremes"):
        assert page.TABLES[name](rows) in written
