"""Train with Hugging Face Accelerate's loop for image classification on a CPU.

The loop of its documentation: `prepare`, `backward`, and `gather_for_metrics` in an evaluation
per epoch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from common import arguments, loaders, network, optimizer, say_first_step


def main() -> None:
    """Train and validate."""
    asked = arguments(__doc__.splitlines()[0])
    accelerator = Accelerator(cpu=True)
    model = network(asked)
    sgd, schedule = optimizer(model, asked.epochs)
    model, sgd, schedule, *parts = accelerator.prepare(model, sgd, schedule, *loaders(asked))
    train, val = parts
    first = True
    for epoch in range(asked.epochs):
        model.train()
        for images, labels in train:
            loss = F.cross_entropy(model(images.to(memory_format=torch.channels_last)), labels)
            accelerator.backward(loss)
            sgd.step()
            sgd.zero_grad()
            if first:
                say_first_step()
                first = False
        schedule.step()
        model.eval()
        right = seen = 0
        for images, labels in val:
            with torch.inference_mode():
                best = model(images.to(memory_format=torch.channels_last)).argmax(1)
            best, labels = accelerator.gather_for_metrics((best, labels))
            right, seen = right + int((best == labels).sum()), seen + len(labels)
        accelerator.print(f"epoch {epoch}: {right} of {seen} right", flush=True)


if __name__ == "__main__":
    main()
