"""Evaluation against a loop over single images."""

import math

import pytest
import torch
from torch import nn

from efficiency_bench.training.checkpoint import weights_digest
from efficiency_bench.training.evaluation import evaluate

FP32 = torch.autocast("cpu", enabled=False)


class Identity(nn.Module):
    """A network whose logits are its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def test_top1_top5_and_loss_match_a_loop_over_single_images():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(103, 10, generator=generator)
    labels = torch.randint(10, (103,), generator=generator)
    batches = zip(logits.split(17), labels.split(17), strict=True)
    score = evaluate(Identity(), batches, FP32)
    top1 = top5 = 0
    loss = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        rank = sorted(range(10), key=lambda c: -row[c]).index(label)
        top1, top5 = top1 + (rank < 1), top5 + (rank < 5)
        loss -= row[label] - math.log(sum(math.exp(v) for v in row))
    assert score.images == 103
    assert score.top1 == pytest.approx(top1 / 103)
    assert score.top5 == pytest.approx(top5 / 103)
    assert score.loss == pytest.approx(loss / 103, rel=1e-5)


def test_nan_logits_are_never_correct():
    logits = torch.full((4, 10), math.nan)
    score = evaluate(Identity(), [(logits, torch.zeros(4, dtype=torch.long))], FP32)
    assert (score.top1, score.top5, score.loss) == (0, 0, None)


def test_no_top5_with_fewer_than_five_classes():
    score = evaluate(Identity(), [(torch.eye(3), torch.arange(3))], FP32)
    assert (score.top1, score.top5) == (1, None)


def test_evaluation_does_not_change_the_network():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(10))
    model(torch.zeros(2, 3, 8, 8))
    before = weights_digest(model)
    evaluate(model, [(torch.randn(5, 3, 8, 8), torch.zeros(5, dtype=torch.long))], FP32)
    assert model.training
    assert weights_digest(model) == before


def test_an_empty_validation_set_is_rejected():
    with pytest.raises(ValueError, match="empty"):
        evaluate(Identity(), [], FP32)


def test_weights_digest_depends_on_every_bit_but_not_on_memory_layout():
    model = nn.Conv2d(3, 4, 3)
    digest = weights_digest(model)
    assert weights_digest(model.to(memory_format=torch.channels_last)) == digest
    with torch.no_grad():
        model.weight[0, 0, 0, 0] = torch.nextafter(model.weight[0, 0, 0, 0], torch.tensor(9.0))
    assert weights_digest(model) != digest
