"""One pass over the validation set: top-1, top-5 and loss, each image counted once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efficiency_bench.training.ranks import SINGLE_PROCESS, Ranks


@dataclass(frozen=True)
class Score:
    """Accuracies as fractions; loss in nats per image, None if not finite."""

    top1: float
    top5: float | None
    loss: float | None
    images: int


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    autocast: torch.autocast,
    ranks: Ranks = SINGLE_PROCESS,
) -> Score:
    """Score ``model`` in eval mode over ``batches`` of (images [B,C,H,W], labels [B]).

    Each rank scores its own batches; the result is the score over all ranks.  Sums stay on the
    device until the end, so that no batch waits for the previous one.
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
    *totals, all_images = ranks.all_reduce_sum(torch.cat([sums, count])).tolist()
    top1, top5, loss = (total / all_images for total in totals)
    return Score(
        top1=top1,
        top5=top5 if classes >= 5 else None,
        loss=loss if math.isfinite(loss) else None,
        images=int(all_images),
    )


def batch_sums(logits: Tensor, labels: Tensor) -> Tensor:
    """Number of top-1 hits, number of top-5 hits and summed loss: float64 [3].

    logits [B, classes], labels [B].  An image with a non-finite logit is never a hit.
    """
    predicted = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = predicted.eq(labels[:, None]) & torch.isfinite(logits).all(dim=1, keepdim=True)
    loss = F.cross_entropy(logits, labels, reduction="sum")
    return torch.stack([hits[:, 0].sum().double(), hits.sum().double(), loss.double()])
