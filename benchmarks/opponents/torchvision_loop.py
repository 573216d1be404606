"""Train as torchvision's classification reference documents it.

Plain PyTorch; loss, top-1 and top-5 are read every step; an evaluation and a checkpoint per epoch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from common import arguments, loaders, network, optimizer, say_first_step


def main() -> None:
    """Train and validate."""
    asked = arguments(__doc__.splitlines()[0])
    model, (train, val) = network(asked), loaders(asked)
    sgd, schedule = optimizer(model, asked.epochs)
    first = True
    with tempfile.TemporaryDirectory() as folder:
        for epoch in range(asked.epochs):
            model.train()
            shown = []
            for images, labels in train:
                images = images.to(memory_format=torch.channels_last)
                output = model(images)
                loss = F.cross_entropy(output, labels)
                sgd.zero_grad()
                loss.backward()
                sgd.step()
                best = output.topk(5, dim=1).indices == labels[:, None]
                shown.append((loss.item(), best[:, 0].sum().item(), best.sum().item()))
                if first:
                    say_first_step()
                    first = False
            schedule.step()
            model.eval()
            right = 0
            with torch.inference_mode():
                for images, labels in val:
                    images = images.to(memory_format=torch.channels_last)
                    right += int((model(images).argmax(1) == labels).sum())
            torch.save(model.state_dict(), Path(folder) / "checkpoint.pth")
            print(f"epoch {epoch}: {right} of {len(val.dataset)} right", flush=True)


if __name__ == "__main__":
    main()
