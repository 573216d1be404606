"""One pass over the validation set: top-1, top-5 and loss, each image counted once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efficiency_bench.training.ranks import ALL_HERE, Ranks


@dataclass(frozen=True)
class Score:
    """Accuracies as fractions; loss in nats an image, None if not finite."""

    top1: float
    top5: float | None
    loss: float | None
    images: int


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    autocast: torch.autocast,
    ranks: Ranks = ALL_HERE,
) -> Score:
    """Score ``model`` in eval mode over ``batches`` of (images [B,C,H,W], labels [B]).

    Each process scores the batches it has; the score is that of all together.  Sums stay on the
    device until the end, so that no batch waits for the one before.
    """
    was_training = model.training
    model.eval()
    sums: Tensor | None = None
    images = 0
    classes = 0
    for batch, labels in batches:
        with autocast:
            logits = model(batch)
        part = batch_sums(logits.float(), labels)
        sums = part if sums is None else sums + part
        images += len(labels)
        classes = logits.shape[1]
    model.train(was_training)
    if sums is None:
        raise ValueError("the validation set is empty")
    count = torch.tensor([images], dtype=sums.dtype, device=sums.device)
    *totals, whole = ranks.all_reduce_sum(torch.cat([sums, count])).tolist()
    top1, top5, loss = (total / whole for total in totals)
    return Score(
        top1=top1,
        top5=top5 if classes >= 5 else None,
        loss=loss if math.isfinite(loss) else None,
        images=int(whole),
    )


def batch_sums(logits: Tensor, labels: Tensor) -> Tensor:
    """Number right in the first and in the first five guesses, and summed loss: float64 [3].

    logits [B, classes], labels [B].  A logit that is not a number is never right.
    """
    guesses = logits.topk(min(5, logits.shape[1]), dim=1).indices
    right = guesses.eq(labels[:, None]) & torch.isfinite(logits).all(dim=1, keepdim=True)
    loss = F.cross_entropy(logits, labels, reduction="sum")
    return torch.stack([right[:, 0].sum().double(), right.sum().double(), loss.double()])
