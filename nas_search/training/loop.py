"""The training loop: one network, one recipe, one seed; continues from its last checkpoint.

All randomness of an epoch (order, augmentation, drop path) follows from (seed, epoch), so a
training that continues from a checkpoint equals an uninterrupted one, to the last bit on a CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from nas_search.core.errors import InputError
from nas_search.core.files import write_csv
from nas_search.training import checkpoint
from nas_search.training.augment import augment, mix_images
from nas_search.training.batch_statistics import measure_batch_statistics
from nas_search.training.distributed import ProcessGroup
from nas_search.training.drop_path import DropPath
from nas_search.training.evaluate import autocast, evaluate, memory_format
from nas_search.training.graph import GraphedStep
from nas_search.training.images import Images
from nas_search.training.on_device import for_device
from nas_search.training.optimizer import frozen_layers, make_optimizer, make_schedule
from nas_search.training.recipe import Recipe
from nas_search.training.steps import FEW_STEPS, cut

_ORDER, _DRAWS = 0, 1

Tensors = tuple[Tensor, ...] | list[Tensor]
"""What torch's operations on many tensors take."""


class TrainingFailure(Exception):
    """A network cannot be trained as requested; the message gives the reason and a remedy."""


@dataclass(frozen=True)
class Epoch:
    """The result of one epoch.

    Attributes:
        epoch: number of the epoch, from 1.
        lr: learning rate at the end of the epoch.
        loss: mean training loss.
        train_accuracy: accuracy on the augmented training images, %; NaN for mixed labels.
        validation_loss: mean validation loss; NaN without validation images.
        validation_accuracy: validation accuracy, %; NaN without validation images.
        images_per_second: training speed, validation not included.
        seconds: duration of all epochs so far.
        validation_balanced_accuracy: mean over classes of their validation accuracies, %.
    """

    epoch: int
    lr: float
    loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    images_per_second: float
    seconds: float
    validation_balanced_accuracy: float = math.nan


class Training:
    """A training in progress.

    Args:
        network: network with its initial weights, on the CPU; trained in place.
        recipe: the recipe.
        train: training images.
        validation: validation images; may be empty.
        seed: seed of order, augmentation and drop path, 0 or more.
        folder: folder of ``checkpoint.pt`` and ``log.csv``; a checkpoint in it is continued.
        identity: the settings that define this training; a checkpoint with others is refused.
        group: the processes that train together.
        drop_path: modules whose outputs drop path drops.
        say: is told what a user should know of how it is trained, once.

    Raises:
        InputError: the recipe does not fit the network, or ``folder`` holds another training.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        train: Images,
        validation: Images,
        seed: int,
        folder: Path,
        identity: dict[str, Any],
        group: ProcessGroup,
        drop_path: tuple[nn.Module, ...] = (),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        recipe = for_device(recipe, group.device)
        if recipe.drop_path and not drop_path:
            raise InputError(
                f"recipe.drop_path={recipe.drop_path}: this search space does not say which "
                "operations it acts on; set recipe.drop_path=0"
            )
        if len(train) < 2 * group.size:
            raise InputError(f"{len(train)} training images are too few; give more")
        if recipe.keep == "best" and not len(validation):
            raise InputError(
                "there are no validation images to choose the best epoch by; set recipe.keep=last"
            )
        self.recipe = recipe
        self.log: list[Epoch] = []
        self.micro_batch = min(recipe.batch_size, len(train))
        self._train, self._validation = train, validation
        self._classes = int(train.split.labels.max()) + 1
        self._class_weights = class_weights(train, recipe)
        self._seed, self._folder, self._identity, self._group = seed, folder, identity, group
        self._drop_path = DropPath(drop_path, recipe.drop_path, group.device)
        self._network = network.to(group.device)
        if recipe.channels_last:
            self._network.to(memory_format=torch.channels_last)
        self._frozen = frozen_layers(network, recipe)
        for layer in self._frozen:
            layer.requires_grad_(False)
        run = torch.compile(self._network) if recipe.compile else self._network
        self._run = group.distribute(run)  # type: ignore[arg-type]
        self._optimizer = make_optimizer(network, recipe)
        self._steps = len(self._parts(torch.arange(len(train))))
        self._schedule = make_schedule(self._optimizer, recipe, self._steps)
        # Whether running batch statistics may belong to other weights than those that are judged.
        self._lags = recipe.ema is not None or recipe.epochs * self._steps < FEW_STEPS
        self._average: AveragedModel | None = None
        if recipe.ema is not None:
            self._average = AveragedModel(network, multi_avg_fn=self._averaged, use_buffers=True)
        self._updates = 0
        parameters = list(self._network.parameters())
        self._graph: GraphedStep | None = None
        if recipe.cuda_graph and group.size == 1:
            self._graph = GraphedStep(self._gradients, parameters, say)
        self._best: dict[str, Tensor] | None = None
        self._continue()

    @property
    def done(self) -> int:
        """Number of epochs trained."""
        return len(self.log)

    def run(self, until: int, on_epoch: Callable[[Epoch], None]) -> None:
        """Train to the end of epoch ``until``; save, then call ``on_epoch``, after every epoch.

        Raises:
            TrainingFailure: the loss is NaN or infinite, or two images do not fit in memory.
            RunError: the disk refuses; the previous checkpoint is kept.
        """
        while self.done < until:
            epoch = self._epoch(self.done + 1, until)
            self.log.append(epoch)
            if self.recipe.keep == "best" and self.kept is epoch:
                self._best = {
                    name: value.detach().clone()
                    for name, value in self._evaluated().state_dict().items()
                }
            if self._group.leads:
                self._save()
            on_epoch(epoch)

    def result(self) -> nn.Module:
        """Return the network in eval mode, with the weights that the recipe keeps."""
        if self.recipe.keep == "best" and self._best is not None:
            self._network.load_state_dict(self._best)
        elif self._average is not None:
            self._network.load_state_dict(self._average.module.state_dict())
        return self._network.eval()

    @property
    def kept(self) -> Epoch:
        """The epoch whose weights :meth:`result` has; there is one after the first epoch."""
        if self.recipe.keep == "last":
            return self.log[-1]
        return max(self.log, key=lambda epoch: merit(epoch, self.recipe))

    def _epoch(self, number: int, last: int) -> Epoch:
        recipe, group = self.recipe, self._group
        self._drop_path.set_rate(recipe.drop_path * (number - 1) / max(recipe.epochs - 1, 1))
        self._run.train()
        for layer in self._frozen:
            layer.eval()  # keeps their running statistics too
        begun = time.perf_counter()
        sums = torch.zeros(3, dtype=torch.float64, device=group.device)  # loss, correct, images
        with _seeded(group.device, self._seed, number, _ORDER):
            parts = self._parts(torch.randperm(len(self._train)))
        with _seeded(group.device, self._seed, number, _DRAWS, group.rank):
            for raw, labels in self._train.batches([group.share_of(part) for part in parts]):
                sums += self._step(raw, labels)
                if recipe.schedule.interval == "step":
                    self._schedule.step()
        if recipe.schedule.interval == "epoch":
            self._schedule.step()
        loss, correct, images = group.total(sums).tolist()
        seconds = time.perf_counter() - begun
        if not math.isfinite(loss):
            raise TrainingFailure(
                f"the loss is {loss / images} in epoch {number}; lower recipe.optimizer.lr="
                f"{recipe.optimizer.lr} or set recipe.optimizer.clip=5"
            )
        judged = self._evaluated()
        if self._lags and (len(self._validation) or number == last):
            measure_batch_statistics(judged, self._train, recipe, self.micro_batch)
        judgement = evaluate(judged, self._validation, recipe, group)
        before = self.log[-1].seconds if self.log else 0.0
        return Epoch(
            epoch=number,
            lr=max(parameters["lr"] for parameters in self._optimizer.param_groups),
            loss=loss / images,
            train_accuracy=math.nan
            if recipe.augmentation.mix != "none"
            else 100 * correct / images,
            validation_loss=judgement.loss,
            validation_accuracy=judgement.accuracy,
            images_per_second=images / seconds,
            seconds=before + time.perf_counter() - begun,
            validation_balanced_accuracy=judgement.balanced_accuracy,
        )

    def _parts(self, order: Tensor) -> list[Tensor]:
        return cut(order, self.recipe.batch_size, 2 * self._group.size)

    def _step(self, raw: Tensor, labels: Tensor) -> Tensor:
        """Take one step on a batch, in smaller pieces if memory runs out; return the sums."""
        split = self._train.split
        images = augment(raw, self.recipe.augmentation, (split.mean, split.std), split.series)
        images, targets = mix_images(images, labels, self.recipe.augmentation.mix, self._classes)
        while True:
            try:
                if self._graph is not None:
                    sums = self._graph(images, targets, labels)
                else:
                    sums = self._gradients(images, targets, labels)
                break
            except torch.OutOfMemoryError as error:
                if self._group.size > 1 or self.micro_batch <= 2:
                    raise TrainingFailure(
                        f"out of memory at {self.micro_batch} images; lower recipe.batch_size or "
                        "recipe.network.channels"
                    ) from error
                self.micro_batch = max(self.micro_batch // 2, 2)
            if self._graph is not None:
                self._graph.forget()  # it holds memory for the whole batch
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        self._optimizer.step()
        if self._average is not None:
            self._average.update_parameters(self._network)
            self._updates += 1
        return sums

    def _gradients(self, images: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """Compute clipped gradients; return the sums of loss, right answers and images.

        Nothing here waits for the device or copies from the host: it may be recorded.
        """
        recipe = self.recipe
        self._optimizer.zero_grad(set_to_none=True)
        sums = torch.zeros(3, dtype=torch.float64, device=images.device)
        pieces = -(-len(images) // self.micro_batch)
        parts = (tensor.tensor_split(pieces) for tensor in (images, targets, labels))
        for some, wanted, classes in zip(*parts, strict=True):
            with autocast(recipe, images.device.type):
                output = self._run(memory_format(some, recipe))
                logits, auxiliary = output if isinstance(output, tuple) else (output, None)
                loss = self._loss(logits, wanted)
                total = loss
                if auxiliary is not None:
                    total = loss + recipe.auxiliary_weight * self._loss(auxiliary, wanted)
            (total * (len(some) / len(images))).backward()
            correct = (logits.detach().argmax(1) == classes).sum()
            count = sums.new_full((), len(some))
            sums += torch.stack([loss.detach().double() * len(some), correct.double(), count])
        if recipe.optimizer.clip is not None:
            nn.utils.clip_grad_norm_(self._network.parameters(), recipe.optimizer.clip)
        return sums

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over images, each weighted by its class: not torch's weighted mean.

        Torch divides by the weights of the batch at hand, which would undo a part of them in
        batches of one class.
        """
        total = functional.cross_entropy(
            logits,
            targets,
            weight=self._class_weights,
            label_smoothing=self.recipe.label_smoothing,
            reduction="sum",
        )
        return total / len(logits)

    def _averaged(self, averages: Tensors, values: Tensors, _: int | Tensor) -> None:
        """Move averages of one type after a step; first steps weigh more, to forget the start.

        The steps are counted here, since reading torch's count would wait for the device. Integer
        buffers (counts of batches) are copied.
        """
        if not averages[0].is_floating_point():
            torch._foreach_copy_(averages, values)
            return
        decay = min(self.recipe.ema or 0.0, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_(averages, values, 1 - decay)

    def _evaluated(self) -> nn.Module:
        return self._network if self._average is None else self._average.module

    def _save(self) -> None:
        checkpoint.save(
            self._folder / "checkpoint.pt",
            {
                "identity": self._identity,
                "network": self._network.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "schedule": self._schedule.state_dict(),
                "average": self._average.state_dict() if self._average is not None else None,
                "best": self._best,
                "micro_batch": self.micro_batch,
                "log": [asdict(epoch) for epoch in self.log],
            },
        )
        names = list(asdict(self.log[0]))
        rows = [[_csv_cell(value) for value in asdict(epoch).values()] for epoch in self.log]
        checkpoint.on_disk(lambda: write_csv(self._folder / "log.csv", names, rows))

    def _continue(self) -> None:
        state = checkpoint.load(self._folder / "checkpoint.pt", self._group.device)
        if state is None:
            return
        differing = sorted(
            key
            for key in {**self._identity, **state["identity"]}
            if self._identity.get(key) != state["identity"].get(key)
        )
        if differing:
            raise InputError(
                f"{self._folder} holds a training with another {', '.join(differing)}; repeat its "
                "command to continue it, or choose another hydra.run.dir"
            )
        with checkpoint.restoring(self._folder / "checkpoint.pt"):
            self._network.load_state_dict(state["network"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._schedule.load_state_dict(state["schedule"])
            if self._average is not None:
                self._average.load_state_dict(state["average"])
            self._best = state["best"]
            self.micro_batch = state["micro_batch"]
            self.log = [Epoch(**values) for values in state["log"]]
        self._updates = self.done * self._steps


@contextmanager
def _seeded(device: str, *words: int) -> Iterator[None]:
    """Seed torch's global generators by ``words``; restore them afterwards."""
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0]) >> 1)
        yield


def class_weights(train: Images, recipe: Recipe) -> Tensor | None:
    """Return the weight of each class (C,): n / (C n_c) if balanced, so that images average 1."""
    if recipe.class_weights == "none":
        return None
    counts = torch.bincount(train.labels, minlength=int(train.split.labels.max()) + 1)
    present = (counts > 0).sum()
    return len(train) / (present * counts.clamp(min=1)).float()


def merit(epoch: Epoch, recipe: Recipe) -> tuple[float, float, int]:
    """Return by what epochs are compared: accuracy, then the loss, then the later one."""
    balanced = recipe.class_weights == "balanced"
    accuracy = epoch.validation_balanced_accuracy if balanced else epoch.validation_accuracy
    values = (accuracy, -epoch.validation_loss)
    accuracy, less = (-math.inf if math.isnan(value) else value for value in values)
    return accuracy, less, epoch.epoch


def _csv_cell(value: float) -> object:
    if isinstance(value, float):
        return None if math.isnan(value) else f"{value:.6g}"
    return value
