"""`data`: every user error is a short message."""

import signal

import pytest

from efficiency_bench.data.ffcv import write as ffcv_write
from tests.cli.users import refused
from tests.data.ffcv.betons import needs_ffcv, noise, plant_betons


@needs_ffcv
def test_a_missing_source(typed):
    refused(typed("data", "write-ffcv", "nowhere", "out"), "no folder nowhere")


@pytest.fixture
def _ctrl_c_is_heard():
    """A suite started in the background may have been told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_is_heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cleans_up_and_says_how_to_continue(typed, monkeypatch, number):
    unwound = []

    def write(options, progress, tell):
        try:
            signal.raise_signal(number)
        finally:
            unwound.append(options.out.name)

    monkeypatch.setattr(ffcv_write, "write_ffcv", write)
    before = signal.getsignal(signal.SIGTERM)
    result = typed("data", "write-ffcv", "source", "out")
    assert (result.returncode, unwound) == (75, ["out"])
    assert "run the same command again" in result.stderr
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mode", "webp"), "'jpg', 'raw'"),
        (("--quality", "0"), "--quality"),
        (("--max-px", "5000"), "--max-px"),
    ],
)
def test_invalid_settings(typed, options, words):
    result = typed("data", "write-ffcv", "nowhere", "out", *options)
    assert result.returncode == 2
    assert words in result.stderr


def test_check_reads_every_image(typed, tmp_path):
    plant_betons(tmp_path / "betons", noise(6), noise(4))
    result = typed("data", "check-ffcv", "betons")
    assert result.returncode == 0
    assert "train.beton: 6 images, unchanged" in result.stdout
    file = tmp_path / "betons" / "val.beton"
    content = bytearray(file.read_bytes())
    content[-200] ^= 1
    file.write_bytes(content)
    refused(typed("data", "check-ffcv", "betons"), "val.beton has been changed", "write it again")
    refused(typed("data", "check-ffcv", "nowhere"), "no nowhere/train.beton")
