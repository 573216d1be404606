"""What is claimed on CUDA: repeatable if asked for, energy measured, the same machine, bf16."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from efficiency_bench.config import measured_part
from efficiency_bench.errors import UserError
from efficiency_bench.identity import config_digest
from efficiency_bench.reproducibility import kill_test
from efficiency_bench.run import cost
from efficiency_bench.run.device import resolve
from efficiency_bench.run.faults import interruption
from efficiency_bench.training.ranks import SINGLE_PROCESS
from tests.tiny import composed

ROOT = Path(__file__).parents[2]


@pytest.mark.usefixtures("card", "_flags")
@pytest.mark.parametrize("asked", [True, False])
def test_point_15_deterministic_sets_every_flag_of_torch(asked, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    config = resolve(composed("experiment=alexnet", f"deterministic={str(asked).lower()}"))
    assert config.deterministic is asked
    assert torch.are_deterministic_algorithms_enabled() is asked
    assert torch.backends.cudnn.deterministic is asked
    assert torch.backends.cudnn.benchmark is not asked


def test_point_15_a_cpu_is_bit_exact_anyway_and_old_digests_are_unchanged():
    plain = composed("experiment=alexnet", "device=cpu")
    asked = replace(plain, deterministic=True)
    assert resolve(asked).deterministic is False
    assert "deterministic" not in measured_part(plain)
    assert config_digest(measured_part(plain)) != config_digest(measured_part(asked))


def test_point_15_verify_resume_requests_determinism(tmp_path):
    assert kill_test.placed(composed("experiment=alexnet"), tmp_path).deterministic


def test_point_15_a_nondeterministic_operator_is_a_user_error_that_says_what_to_do():
    error = RuntimeError(
        "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you"
        " set 'torch.use_deterministic_algorithms(True)'."
    )
    with pytest.raises(UserError, match=r"(?s)adaptive_avg_pool2d.*type deterministic=false"):
        interruption(error, composed("experiment=alexnet"), SINGLE_PROCESS, evaluated=True)


@pytest.mark.parametrize(
    ("capability", "precision"), [((7, 0), "fp32"), ((7, 5), "fp32"), ((8, 0), "bf16")]
)
def test_point_15_bf16_only_if_the_card_supports_it(capability, precision, card):
    card.capability = capability  # V100, T4, A100
    assert resolve(composed("experiment=alexnet")).precision == precision


def test_point_15_a_reboot_does_not_make_another_machine():
    config = composed("experiment=alexnet")
    start = {"provenance": {"hardware": {"cpu": "x", "memory_bytes": 1}}, "cost": {}}
    run = SimpleNamespace(config=config)
    assert cost._changes(run, start, {"cpu": "x", "memory_bytes": 2}) == []
    assert cost._changes(run, start, {"cpu": "y", "memory_bytes": 1}) != []


def test_point_15_make_env_installs_the_energy_library():
    makefile = (ROOT / "Makefile").read_text()
    extras = re.search(r"-e '\.\[(dev.*?)\]'", makefile)[1].split(",")
    assert "gpu" in extras
    assert "nvidia-ml-py==" in (ROOT / "constraints.txt").read_text()


def test_point_15_a_network_out_of_memory_does_not_stop_the_others(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import throughput

    def rate(network, *arguments):
        def measure():
            if network == "vgg11":
                raise UserError("vgg11 does not fit this device")
            return 1.0

        return measure

    monkeypatch.setattr(throughput, "rate", rate)
    rows = list(throughput.compared("imagenet", 0.0))
    assert len(rows) == len(throughput.networks()) - 1
    assert "vgg11, imagenet: left out" in capsys.readouterr().err
