"""`plan` as a user types it."""

import json

import pytest

from tests.cli.users import refused
from tests.tiny import TINY

RUN = ("experiment=shufflenet_v2_x1_0", *TINY, "target.value=0.9")
NO_PROBE = ("--probe-seconds", "0")


def test_a_plan_for_this_machine_times_real_steps_and_writes_nothing(typed, tmp_path):
    result = typed("plan", *RUN, *NO_PROBE, "price_usd_per_hour=2", "--json")
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    (row,) = plan["runs"]
    assert row["arithmetic_source"].startswith("1 steps of 32 images")
    assert row["chance_to_arrive"] is None
    assert row["epochs_source"] == "schedule"
    assert row["cost_usd"] == pytest.approx(2 * row["hours"])
    seconds = 3600 * row["train_hours"]
    assert row["trained_images"] / seconds == pytest.approx(row["images_per_second"])
    assert plan["total"]["hours"] == row["hours"]
    assert not list(tmp_path.iterdir())


def test_a_plan_of_a_suite_for_other_hardware_fits_80_columns(typed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    few = ("experiment=shufflenet_v2_x1_0,alexnet", "seed=0,1")
    suite = ("suite=card", *few, "data=digits", "target.value=0.9", "hardware=h100x1")
    result = typed("plan", *suite, "--budget", "1usd")
    assert result.returncode == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout
    assert result.stdout.index("alexnet s1") < result.stdout.index("shufflenet_v")
    words = " ".join(result.stdout.split())
    for word in ("1.00 usd buy", "4 of 4 runs", "read 2026-09-25", "arrives: Jeffreys'"):
        assert word in words


def test_an_invalid_plan_says_what_is_allowed(typed):
    refused(typed("plan", *RUN, "hardware=h100"), "a100x1, a100x8, h100x1, h100x8", "FILE.yaml")
    refused(typed("plan", *RUN, "--budget", "5usd"), "price_usd_per_hour=")
    refused(typed("plan", *RUN, "--budget", "5gpu-hours"), "hardware=")
    refused(typed("plan", *RUN, "--budget", "5"), "500usd")
    refused(typed("plan", *RUN, "precision=fp32", "hardware=h100x8"), "bf16")
    refused(typed("plan", *RUN, "recipe.epoch=1"), "epochs")
    refused(typed("plan"), "experiment=NAME")
