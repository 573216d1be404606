"""Train with PyTorch Lightning's Trainer on a CPU.

Without progress bar, logger, model summary, sanity check and checkpoints, as its page on speed
advises, so that the loop alone is left; an evaluation per epoch.
"""

from __future__ import annotations

import lightning
import torch
import torch.nn.functional as F
from common import arguments, loaders, network, optimizer, say_first_step
from torch import Tensor, nn


class Classifier(lightning.LightningModule):
    """A network with cross-entropy, top-1 accuracy and SGD."""

    def __init__(self, model: nn.Module, epochs: int) -> None:
        super().__init__()
        self.model = model
        self.epochs = epochs

    def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        """The loss of a batch."""
        images, labels = batch
        output = self.model(images.to(memory_format=torch.channels_last))
        return F.cross_entropy(output, labels)

    def on_train_batch_end(self, outputs: object, batch: object, number: int) -> None:
        """Say when the first step is done."""
        if self.global_step == 1:
            say_first_step()

    def validation_step(self, batch: tuple[Tensor, Tensor], number: int) -> None:
        """Log the accuracy of a batch; Lightning averages it."""
        images, labels = batch
        output = self.model(images.to(memory_format=torch.channels_last))
        self.log("top1", (output.argmax(1) == labels).float().mean(), batch_size=len(labels))

    def configure_optimizers(self) -> tuple[list, list]:
        """SGD and its schedule."""
        sgd, schedule = optimizer(self.model, self.epochs)
        return [sgd], [schedule]


def main() -> None:
    """Train and validate."""
    asked = arguments(__doc__.splitlines()[0])
    train, val = loaders(asked)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=asked.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Classifier(network(asked), asked.epochs), train, val)
    print(f"top-1 {float(trainer.callback_metrics['top1']):.4f}", flush=True)


if __name__ == "__main__":
    main()
