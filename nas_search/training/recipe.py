"""A recipe: all settings of a training in one typed record.

The yaml files of ``conf/recipe`` are the recipes by name; each cites the publication it follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nas_search.core.errors import InputError

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "one_cycle", "constant")
INTERVALS = ("step", "epoch")
POLICIES = ("none", "trivial_augment", "rand_augment")
MIXES = ("none", "mixup", "cutmix")
PRECISIONS = ("auto", "fp32", "bf16")
KEEPS = ("last", "best")
CLASS_WEIGHTS = ("none", "balanced")


@dataclass(frozen=True)
class Optimizer:
    """How weights are changed.

    Attributes:
        name: ``sgd`` or ``adamw``.
        lr: the highest learning rate, positive.
        momentum: momentum of SGD, first beta of AdamW, in [0, 1).
        nesterov: Nesterov's form of SGD's momentum.
        weight_decay: 0 or more.
        decay_all: decay biases and batch-norm too, as published recipes do; otherwise only
            weights of two or more dimensions.
        clip: largest norm of the gradient; None for no bound.
    """

    name: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    decay_all: bool = True
    clip: float | None = None

    def __post_init__(self) -> None:
        _one_of("optimizer.name", self.name, OPTIMIZERS)
        _between("optimizer.lr", self.lr, 0, None, open_low=True)
        _between("optimizer.momentum", self.momentum, 0, 1)
        _between("optimizer.weight_decay", self.weight_decay, 0, None)
        if self.clip is not None:
            _between("optimizer.clip", self.clip, 0, None, open_low=True)


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes over a training.

    Attributes:
        name: ``cosine`` (to 0), ``one_cycle`` (Smith 2018: up, then down to 0) or ``constant``.
        interval: ``step`` changes it after every batch, ``epoch`` after every epoch.
        warmup: fraction of the training over which it rises, in [0, 1).
    """

    name: str = "cosine"
    interval: str = "step"
    warmup: float = 0.0

    def __post_init__(self) -> None:
        _one_of("schedule.name", self.name, SCHEDULES)
        _one_of("schedule.interval", self.interval, INTERVALS)
        _between("schedule.warmup", self.warmup, 0, 1)
        if self.name == "one_cycle" and self.interval == "epoch":
            raise InputError("recipe.schedule: one_cycle changes by step; set interval=step")


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of the training images, drawn anew in every epoch.

    Of series, ``crop`` moves by so many steps, ``cutout`` hides so many in a row; ``flip``,
    policies and ``cutmix`` are refused.

    Attributes:
        crop: pixels of zeros around the image before a random crop of its own size; 0 for none.
        flip: mirror left and right with probability 1/2.
        cutout: side of a square of channel means at a random position; 0 for none.
        policy: ``none``, ``trivial_augment`` (Mueller and Hutter 2021) or ``rand_augment``
            (Cubuk et al. 2020), torchvision's; for 8-bit images.
        mix: ``none``, ``mixup`` or ``cutmix``: pairs of images and labels, torchvision's.
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0
    policy: str = "none"
    mix: str = "none"

    def __post_init__(self) -> None:
        _between("augmentation.crop", self.crop, 0, None)
        _between("augmentation.cutout", self.cutout, 0, None)
        _one_of("augmentation.policy", self.policy, POLICIES)
        _one_of("augmentation.mix", self.mix, MIXES)


@dataclass(frozen=True)
class Recipe:
    """How networks are trained.

    Attributes:
        name: name of the recipe.
        source: the publication that it follows, or its purpose.
        network: sizes of the skeleton that replace those of the scored network; None for none.
        epochs: passes over the training images, 1 or more.
        batch_size: images per step over all devices, 2 or more.
        min_steps: least number of optimizer steps; a training that would have fewer, of few
            images, has smaller batches and more epochs, see :mod:`nas_search.training.steps`.
            0 takes epochs and batches as they are.
        optimizer: see :class:`Optimizer`.
        schedule: see :class:`Schedule`.
        augmentation: see :class:`Augmentation`.
        class_weights: ``balanced`` weighs the losses of all classes alike, however many images each
            has, and chooses epochs and finalists by balanced accuracy; ``none`` weighs all images
            alike.
        label_smoothing: share of the label spread over all classes, in [0, 1).
        drop_path: probability, at the last epoch, that an operation's output is dropped for an
            image, in [0, 1); it rises linearly from 0 (Larsson et al. 2017).
        auxiliary_weight: weight of the auxiliary head's loss, if ``network`` has one.
        ema: decay per step of the moving average of weights, which is evaluated; None for none.
        precision: ``fp32``, ``bf16`` for autocast, or ``auto``: ``bf16`` on a GPU that has it.
        channels_last: memory format of images and weights; None for the faster one, see
            :mod:`nas_search.training.on_device`.
        compile: run through ``torch.compile``.
        cuda_graph: on a GPU, launch the gradients of a step at once; None does so unless
            ``compile`` does. No part of what defines a training: it changes only the speed.
        validation: fraction of the training images held out for validation, in [0, 1).
        keep: weights of the ``last`` epoch, or of the one with the ``best`` validation accuracy;
            of equally good epochs, that with the lowest validation loss.
        freeze: number of first layers (in order: stem, cells, head) that keep their weights.
        layer_decay: learning rate of a layer relative to that of the next one, in (0, 1].

    Raises:
        InputError: a value is impossible; the message names it and the possible ones.
    """

    name: str
    epochs: int
    batch_size: int
    min_steps: int = 0
    source: str = ""
    network: dict[str, Any] | None = None
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    augmentation: Augmentation = field(default_factory=Augmentation)
    class_weights: str = "none"
    label_smoothing: float = 0.0
    drop_path: float = 0.0
    auxiliary_weight: float = 0.0
    ema: float | None = None
    precision: str = "fp32"
    channels_last: bool | None = None
    compile: bool = False
    cuda_graph: bool | None = field(default=None, repr=False, compare=False)
    validation: float = 0.1
    keep: str = "last"
    freeze: int = 0
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        _between("epochs", self.epochs, 1, None)
        _between("batch_size", self.batch_size, 2, None)
        _between("min_steps", self.min_steps, 0, None)
        _between("label_smoothing", self.label_smoothing, 0, 1)
        _between("drop_path", self.drop_path, 0, 1)
        _between("auxiliary_weight", self.auxiliary_weight, 0, None)
        _between("validation", self.validation, 0, 1)
        _between("freeze", self.freeze, 0, None)
        _between("layer_decay", self.layer_decay, 0, 1, open_low=True, closed_high=True)
        if self.ema is not None:
            _between("ema", self.ema, 0, 1)
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("keep", self.keep, KEEPS)
        _one_of("class_weights", self.class_weights, CLASS_WEIGHTS)
        if self.keep == "best" and not self.validation:
            raise InputError("recipe.keep=best needs validation images; set recipe.validation=0.1")


def _one_of(key: str, value: str, possible: tuple[str, ...]) -> None:
    if value not in possible:
        raise InputError(f"unknown recipe.{key} '{value}'; possible: {', '.join(possible)}")


def _between(
    key: str,
    value: float,
    low: float,
    high: float | None,
    *,
    open_low: bool = False,
    closed_high: bool = False,
) -> None:
    fits = (value > low if open_low else value >= low) and (
        high is None or (value <= high if closed_high else value < high)
    )
    if not fits:
        bounds = f"more than {low}" if open_low else f"{low} or more"
        if high is not None:
            bounds += f" and {'at most' if closed_high else 'less than'} {high}"
        raise InputError(f"recipe.{key}={value} must be {bounds}")
