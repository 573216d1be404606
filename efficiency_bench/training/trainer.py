"""The training loop: step, count, evaluate, stop.

``train`` yields records; its caller logs them and saves the checkpoints that it offers.  The loop
knows nothing about configuration files, folders, the ledger or the terminal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from efficiency_bench.config import EvaluationConfig, RecipeConfig
from efficiency_bench.counting import ForwardCount, SegmentMeter
from efficiency_bench.data import Data
from efficiency_bench.data.loader import batch_sizes
from efficiency_bench.records import Evaluation, Segment, Target
from efficiency_bench.seeds import derived_seed
from efficiency_bench.stop_rule import chance_level, due, evaluations_per_epoch, sustained_index
from efficiency_bench.training.clock import Clock
from efficiency_bench.training.compile import Compiled, compile_step
from efficiency_bench.training.evaluation import evaluate
from efficiency_bench.training.ranks import SINGLE_PROCESS, Ranks
from efficiency_bench.training.readings import READ_EVERY_STEPS, Reading, Readings
from efficiency_bench.training.schedule import side_px
from efficiency_bench.training.step import Numerics, Step

Batch = tuple[torch.Tensor, torch.Tensor, int, int]
"""Images, labels, the global batch size, and the images' side in px."""

State = dict[str, Any]
"""A run's state between two steps: only tensors, numbers, lists and dictionaries."""


@dataclass(frozen=True)
class Job:
    """Everything that defines one run: model, data, recipe, target and numerics."""

    model: nn.Module
    data: Data
    recipe: RecipeConfig
    cadence: EvaluationConfig
    target: Target | None  # None: train to the schedule's end (a baseline defines the target)
    counts: Mapping[int, ForwardCount]  # by side of the training image, px
    image_px: int
    seed: int
    numerics: Numerics
    auxiliary_loss_weight: float = 0.0
    stop_requested: Callable[[], bool] = field(default=lambda: False)
    ranks: Ranks = SINGLE_PROCESS
    watch: Callable[[TrainingRun], None] = field(default=lambda run: None)
    """Called once with the run before its first step, for example to attach a profiler."""

    @property
    def device(self) -> torch.device:
        """Where this rank trains."""
        return self.ranks.device

    @property
    def total_steps(self) -> int:
        """Steps in the whole schedule; a fraction of an epoch rounds to whole steps."""
        per_epoch = self.data.steps_per_epoch(self.recipe.batch_size)
        return max(1, round(self.recipe.epochs * per_epoch))


@dataclass(frozen=True)
class Progress:
    """Progress of a run between evaluations."""

    images: int
    steps: int
    epochs: float
    loss: float | None  # nats per image, of the latest batch; None if not finite
    train_seconds: float
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Halted:
    """The process was stopped (SIGSTOP, a suspended job); the time is charged to no clock."""

    seconds: float
    steps: int


@dataclass(frozen=True)
class Ending:
    """Why and where a run stopped; an ``interrupted`` run has no entry in the ledger."""

    reason: str  # target, schedule, diverged, interrupted
    detail: str
    steps: int
    images: int
    epochs: float
    segments: tuple[Segment, ...]
    train_seconds: float
    evaluation_seconds: float


@dataclass(frozen=True)
class CheckpointOffer:
    """A point where the run can be checkpointed and resumed bit-exactly."""

    steps: int
    images: int
    train_seconds: float
    stopping: bool
    """Whether the run stops after this step: the last chance to save it."""
    state: Callable[[], State]
    """Returns everything that the rest of the run depends on; built only when called."""


def train(
    job: Job, resumed: State | None = None
) -> Iterator[Compiled | Progress | Evaluation | CheckpointOffer | Halted | Ending]:
    """Train until the target is confirmed, the schedule ends or the loss is not finite.

    Yields Progress every few steps, every Evaluation, a CheckpointOffer where the state may be
    saved, Halted after the process was stopped, and one Ending last.  ``resumed`` is a saved state:
    the run then resumes bit-exactly.  Afterwards ``job.model`` holds the final weights.  Every rank
    runs this loop on its shard of each global batch and yields the same records.
    """
    torch.manual_seed(job.seed)
    run = TrainingRun(job)
    if resumed is not None:
        run.restore(resumed)
    if job.numerics.compile:
        with run.clock.paused():
            yield run.compiled()
    run.reseed_rank()
    job.watch(run)
    for images, labels, global_batch_size, side in run.batches():
        progress = (run.steps + 0.5) / job.total_steps
        loss = run.step(images, labels, global_batch_size, progress=progress)
        run.count(global_batch_size, side)
        due = run.evaluation_due()
        at_point = due or run.steps % READ_EVERY_STEPS == 0
        reading = run.read(loss) if due or run.readings.due(run.steps) else None
        if reading is not None:
            with run.clock.paused():
                yield from run.halted()
                yield run.progress(reading)
            if not reading.finite:
                break
        if due:
            yield run.evaluate()
            if run.target_confirmed():
                break
        if run.schedule_over:
            break
        stopping = run.stop_requested(reading, evaluated=due)
        if reading is not None or stopping:
            with run.clock.paused():
                yield run.checkpoint_offer(stopping)
        if at_point:  # read or not: when a reading is due depends on the machine
            run.reseed_rank()
        if stopping:
            break
    yield from run.halted()
    yield run.ending()


def batches(job: Job, done: int = 0) -> Iterator[Batch]:
    """Yield this rank's training batches from step ``done`` to the schedule's end.

    Each comes with its global batch size and its images' side in px.
    """
    sizes = batch_sizes(job.data.train_images, job.recipe.batch_size)
    while done < job.total_steps:
        epoch, inside = divmod(done, len(sizes))
        start = min(1.0, epoch / job.recipe.epochs)
        side = side_px(job.recipe.progressive, job.image_px, start)
        epoch_batches = job.data.train.epoch(
            epoch, batch_size=job.recipe.batch_size, image_px=side, start_step=inside
        )
        for size, (images, labels) in zip(sizes[inside:], epoch_batches, strict=True):
            yield images, labels, size, side
            done += 1
            if done == job.total_steps:
                return


class TrainingRun:
    """The state of one run between steps, and the decisions of the training loop."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.step = Step(
            job.model.train(), job.recipe, job.numerics, job.auxiliary_loss_weight, job.ranks
        )
        self.meter = SegmentMeter()
        self.clock = Clock(job.device)
        self.halted_before = 0.0
        self.steps = 0
        self.images = 0
        self.steps_per_epoch = job.data.steps_per_epoch(job.recipe.batch_size)
        self.curve: list[tuple[float, float]] = []
        self.per_epoch = self.evaluations_per_epoch()
        self.readings = Readings(job.ranks)

    def compiled(self) -> Compiled:
        """Compile the step for every batch shape of the run."""
        job = self.job
        sizes = dict.fromkeys(batch_sizes(job.data.train_images, job.recipe.batch_size))
        images = dict.fromkeys(len(job.ranks.shard.take(list(range(n)))) for n in sizes)
        shapes = [(n, side) for side in job.counts for n in images]
        return compile_step(self.step, shapes)

    def batches(self) -> Iterator[Batch]:
        """The batches from the current step to the schedule's end."""
        return batches(self.job, self.steps)

    def read(self, loss: torch.Tensor) -> Reading:
        """Read the device once; ``loss`` is this rank's weighted loss of the latest batch."""
        job = self.job
        stop = not job.ranks.alone and job.stop_requested()
        return self.readings.read(loss, self.step.worst_loss, stop, self.steps, self.clock)

    def stop_requested(self, reading: Reading | None, evaluated: bool) -> bool:
        """Whether to stop after this step; several ranks agree on it when they read the loss.

        ``evaluated``: there was an evaluation since, in which a signal may have come.
        """
        job = self.job
        if job.ranks.alone:
            return job.stop_requested()
        if reading is None or reading.stop or not evaluated:
            return reading is not None and reading.stop
        return job.ranks.any(job.stop_requested())

    def reseed_rank(self) -> None:
        """Reseed torch on every rank but 0, so that ranks draw different dropout masks.

        The seed depends only on the job's seed, the rank and the step, so checkpoints need not
        store it.
        """
        shard = self.job.ranks.shard
        if shard.rank > 0:
            torch.manual_seed(derived_seed(self.job.seed, "process", shard.rank, self.steps))

    def halted(self) -> Iterator[Halted]:
        """Yield Halted if the process was stopped since the last call."""
        seconds = self.clock.stopped_seconds - self.halted_before
        if seconds > 0:
            self.halted_before += seconds
            yield Halted(seconds, self.steps)

    def checkpoint_offer(self, stopping: bool) -> CheckpointOffer:
        """The offer to save the current state."""
        return CheckpointOffer(
            self.steps, self.images, self.clock.train_seconds, stopping, self.state
        )

    def state(self) -> State:
        """Everything that the rest of the run depends on."""
        on_cuda = self.job.device.type == "cuda"
        return {
            "step": self.step.state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.job.device) if on_cuda else None,
            "steps": self.steps,
            "images": self.images,
            "curve": [list(point) for point in self.curve],
            "segments": [segment.model_dump() for segment in self.meter.segments],
            "train_seconds": self.clock.train_seconds,
            "evaluation_seconds": self.clock.evaluation_seconds,
        }

    def restore(self, state: State) -> None:
        """Restore ``state``, saved by a run of the same job."""
        self.step.restore(state["step"])
        self.steps, self.images = state["steps"], state["images"]
        self.curve = [(epochs, accuracy) for epochs, accuracy in state["curve"]]
        self.per_epoch = self.evaluations_per_epoch()
        self.meter = SegmentMeter([Segment(**segment) for segment in state["segments"]])
        self.clock = Clock(self.job.device, state["train_seconds"], state["evaluation_seconds"])
        torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"].cpu(), self.job.device)

    @property
    def epochs(self) -> float:
        """Passes over the training set so far, as a fraction."""
        return self.images / self.job.data.train_images

    @property
    def schedule_over(self) -> bool:
        """Whether the schedule's last step is done."""
        return self.steps >= self.job.total_steps

    def count(self, images: int, side: int) -> None:
        """Add one step and its images to the compute account."""
        self.steps += 1
        self.images += images
        self.meter.add(images, self.job.counts[side])

    def evaluations_per_epoch(self) -> int:
        """Evaluations per epoch until the next evaluation; only an evaluation changes it."""
        target, data = self.job.target, self.job.data
        chance = chance_level(target.metric, len(data.classes)) if target else 0.0
        return evaluations_per_epoch(self.job.cadence, target, self.curve, chance, data.val_images)

    def evaluation_due(self) -> bool:
        """Whether to evaluate after this step; always true after the last."""
        return self.schedule_over or due(self.steps, self.steps_per_epoch, self.per_epoch)

    def evaluate(self) -> Evaluation:
        """Evaluate the whole validation set; charged neither to training time nor to compute."""
        job, before = self.job, self.clock.evaluation_seconds
        with self.clock.evaluating():
            model = self.step.evaluated_model
            score = evaluate(model, job.data.validation(), self.step.autocast, job.ranks)
        evaluation = Evaluation(
            images=self.images,
            steps=self.steps,
            epochs=self.epochs,
            top1=score.top1,
            top5=score.top5,
            loss=score.loss,
            val_images=score.images,
            train_seconds=self.clock.train_seconds,
            evaluation_seconds=self.clock.evaluation_seconds - before,
        )
        if job.target is not None:
            epochs = self.steps / self.steps_per_epoch
            self.curve.append((epochs, evaluation.accuracy(job.target.metric)))
            self.per_epoch = self.evaluations_per_epoch()
        return evaluation

    def target_confirmed(self) -> bool:
        """Whether the target was reached and confirmed by further evaluations (the stop rule)."""
        target = self.job.target
        if target is None:
            return False
        accuracies = [accuracy for _, accuracy in self.curve]
        return sustained_index(target, accuracies, self.schedule_over) is not None

    def losses_finite(self) -> bool:
        """Whether every loss so far was finite on every rank; waits for the device."""
        finite = math.isfinite(self.step.worst_loss)
        return not self.job.ranks.any(not finite)

    def progress(self, reading: Reading) -> Progress:
        """The run's progress."""
        return Progress(
            images=self.images,
            steps=self.steps,
            epochs=self.epochs,
            loss=reading.loss if math.isfinite(reading.loss) else None,
            train_seconds=self.clock.train_seconds,
            segments=self.meter.segments,
        )

    def ending(self) -> Ending:
        """Why and where the loop stopped."""
        if not self.losses_finite():
            reason, detail = "diverged", f"a training loss up to step {self.steps} was not finite"
        elif self.target_confirmed():
            reason, detail = "target", "the target was reached and confirmed"
        elif self.schedule_over:
            reason, detail = "schedule", "the schedule is over"
        else:
            reason, detail = "interrupted", "stopped by a signal between two steps"
        return Ending(
            reason=reason,
            detail=detail,
            steps=self.steps,
            images=self.images,
            epochs=self.epochs,
            segments=self.meter.segments,
            train_seconds=self.clock.train_seconds,
            evaluation_seconds=self.clock.evaluation_seconds,
        )
