"""The tables of conventions, sweep and decomposition: 80 columns, no figure lost."""

import io

import pytest
from rich.console import Console

from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.sensitivity.conventions import conventions
from efficiency_bench.fitting.sensitivity.decomposition import decompose
from efficiency_bench.fitting.sensitivity.epochs_and_images import epochs_and_images
from efficiency_bench.fitting.sensitivity.threshold_sweep import sweep
from efficiency_bench.ledger.reference import published_entries
from efficiency_bench.report.tables.conventions import print_conventions, span_sentence
from efficiency_bench.report.tables.decomposition import (
    print_decomposition,
    print_epochs_and_images,
)
from efficiency_bench.report.tables.layout import interval, one_decimal
from efficiency_bench.report.tables.threshold_sweep import print_sweep
from tests.fitting.corners import NEW, OLD, ledger
from tests.fitting.curve_factory import planted, with_baseline

ANY = Selection()


def printed(show, result):
    stream = io.StringIO()
    show(result, Console(file=stream, width=80))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    return text


def line_with(text, words):
    (line,) = [line for line in text.splitlines() if words in line]
    return line.split()


def test_published_conventions():
    text = printed(print_conventions, conventions(published_entries(), ANY))
    assert line_with(text, "headline:")[-4:] == ["44.9x", "15.7", "13.2-19.3", "6"]
    assert line_with(text, "recomputed:")[-4:-2] == ["44.4x", "15.8"]
    assert line_with(text, "all models")[-3:] == ["13.7", "9.8-22.6", "16"]
    assert line_with(text, "end points")[-3:] == ["15.3", "-", "6"]
    flat = " ".join(text.split())
    assert "first or sustained crossing: the paper prints whole epochs" in flat
    assert "EfficientNet (b1), factor over ResNet-50: printed 10, expected 22.7" in flat
    assert "AlexNet, 1e9 multiply-adds an image: printed 0.77, expected 0.714" in flat


def test_the_span_is_one_line():
    sentence = span_sentence(conventions(published_entries(), ANY).span)
    assert sentence.startswith("over 96 combinations: 28.0x to 44.9x, halving every ")
    assert len(sentence) <= 80
    assert "no combination" in span_sentence(None)


def test_measured_conventions_list_no_published_errata():
    text = printed(print_conventions, conventions(with_baseline(), ANY))
    assert "Errata" not in text
    assert "AlexNet charged to its own crossing only" in text


def test_a_sweep_has_a_line_for_every_threshold():
    result = sweep(planted(20), ANY, 0.8, 0.9999, 0.05)
    text = printed(print_sweep, result)
    assert line_with(text, "80 %")[2:5] == ["20.0", "19.8-20.2", "10.9x"]  # 2 ** (69 / 20)
    # nine units of logit reach 1 / (1 + e^-6) = 99.75 %: nobody gets to 99.99 %
    assert line_with(text, "99.99 %")[2:7] == ["-", "-", "-", "5", "5/5"]
    assert "too few rows reached the target" in " ".join(text.split())


def test_the_published_sweep_says_why_it_has_one_line():
    text = printed(print_sweep, sweep(published_entries(), ANY, 0.5, 0.93))
    assert line_with(text, "79.1 %")[2:5] == ["15.7", "13.2-19.3", "44.9x"]
    assert "no learning curves" in text


def test_a_decomposition_shows_corners_and_parts():
    entries = ledger({(0, 0): [0, 0.2], (1, 0): [-1, -1.2], (0, 1): [-1, -1], (1, 1): [-3, -2.9]})
    text = printed(print_decomposition, decompose(entries, ANY, OLD, NEW))
    assert line_with(text, "resnet18, small_smoothed")[-1] == "2/2"
    # log2 means 0.1, -1.1, -1.0, -2.95: architecture (1.2 + 1.95) / 2, of 3.05
    architecture = line_with(text, "architecture")
    assert (architecture[1], architecture[3:]) == ("2.98x", ["+1.58", "52", "%"])
    assert line_with(text, "whole gain")[-2:] == ["100", "%"]
    assert "Welch" in text


def test_the_decomposition_of_the_published_rows():
    text = printed(print_epochs_and_images, epochs_and_images(published_entries(), ANY))
    row = line_with(text, "efficientnet_b0")
    assert row == ["efficientnet_b0", "2019-05-28", "22.5x", "1.97x", "44.4x", "44.9x"]


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (None, None, "-"),
        (13.24, 19.26, "13.2-19.3"),
        (13.24, None, "13.2-∞"),
        (1, 5632.3, "1.0-5632"),
    ],
)
def test_intervals_are_printed_readably(low, high, text):
    assert interval(low, high) == text
    assert one_decimal(None) == "-"
