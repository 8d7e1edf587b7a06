"""Networks of inverted residual blocks, in the styles of three published families.

``v2``: ReLU6 (Sandler et al. 2018, arXiv 1801.04381). ``v3``: ReLU where maps have more than a
sixteenth of the image's side and hard swish elsewhere, a head of two linear layers (Howard et al.
2019, arXiv 1905.02244). ``efficientnet``: SiLU (Tan and Le 2019, arXiv 1905.11946). Squeeze and
excitation has a quarter of the expanded channels and a hard sigmoid in the first two styles, a
quarter of the block's input channels and a sigmoid in the last, as published. Dropout before the
classifier is left out: it is of the training, not of the architecture.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

from nas_search.core.errors import InputError
from nas_search.spaces.arguments import check_int, check_problem
from nas_search.spaces.chain import ChainNetwork

Style = Literal["v2", "v3", "efficientnet"]
STEM_STRIDE = 2
LEAST_SIDE = 3
"""Rows and columns of the last maps at least, where the images decide how often they are halved."""


@dataclass(frozen=True)
class Stage:
    """A stage: ``depth`` blocks, the first of which has the stage's stride.

    Attributes:
        depth: number of blocks.
        kernel: side of the depthwise convolutions.
        expansion: expanded channels per input channel.
        width: output channels.
        se: whether blocks have squeeze and excitation.
    """

    depth: int
    kernel: int
    expansion: float
    width: int
    se: bool


@dataclass(frozen=True)
class MobilenetMacro:
    """Sizes of the skeleton.

    Attributes:
        stem: channels of the first convolution.
        head: channels before the classifier.
        style: activations, squeeze and excitation, and head.
        multiplier: of all channels but the head's.
        divisor: channels are rounded to multiples of it.
        reduction: a side of the image over that of the last maps, a power of two; None for the
            largest of the published one and its halves that leaves :data:`LEAST_SIDE` pixels. Where
            it is smaller than published, the first strides are 1.
    """

    stem: int = 32
    head: int = 1280
    style: Style = "v2"
    multiplier: float = 1.0
    divisor: int = 8
    reduction: int | None = None

    def __post_init__(self) -> None:
        check_int("stem", self.stem, 1)
        check_int("head", self.head, 1)
        check_int("divisor", self.divisor, 1)
        if self.style not in get_args(Style):
            raise InputError(
                f"unknown style '{self.style}'; possible: {', '.join(get_args(Style))}"
            )
        if not 0 < self.multiplier <= 16:
            raise InputError(f"multiplier must be more than 0, at most 16, got {self.multiplier}")
        if self.reduction is not None:
            check_int("reduction", self.reduction, 1)


@dataclass(frozen=True)
class Block:
    """An inverted residual block as it is built; all that its constructor is told."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expansion: float
    se: bool
    style: Style
    early: bool
    divisor: int


def divisible(channels: float, by: int) -> int:
    """Return the multiple of ``by`` next to ``channels``, at least 90% of it (Howard et al.)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded if rounded >= 0.9 * channels else rounded + by


def activation(style: Style, early: bool) -> nn.Module:
    """Return the activation of a style; ``early`` is where v3 has ReLU still."""
    if style == "v2":
        return nn.ReLU6()
    if style == "efficientnet":
        return nn.SiLU()
    return nn.ReLU() if early else nn.Hardswish()


def convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    act: Callable[[], nn.Module] | None = None,
) -> nn.Sequential:
    """Return a convolution that keeps sides but for its stride, batch-norm and an activation."""
    weights = nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    return nn.Sequential(weights, nn.BatchNorm2d(outputs), *([act()] if act else []))


class HardSigmoid(nn.Module):
    """``nn.Hardsigmoid``, which torch differentiates once only; some scores need it twice."""

    def forward(self, x: Tensor) -> Tensor:
        """Map elements to [0, 1]."""
        return functional.relu6(x + 3) / 6


class SqueezeExcitation(nn.Module):
    """Scales each channel by what a small network makes of all channels' means."""

    def __init__(self, channels: int, squeezed: int, inner: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.inner = inner
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, C, H, W) to the same shape."""
        scale: Tensor = self.gate(self.expand(self.inner(self.reduce(self.pool(x)))))
        return x * scale


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection; the input is added where shapes agree."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        hidden = divisible(block.inputs * block.expansion, block.divisor)
        act = partial(activation, block.style, block.early)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if hidden != block.inputs:
            layers["expand"] = convolution(block.inputs, hidden, 1, act=act)
        layers["depthwise"] = convolution(
            hidden, hidden, block.kernel, block.stride, hidden, act=act
        )
        if block.se:
            layers["se"] = _squeeze_excitation(block, hidden)
        layers["project"] = convolution(hidden, block.outputs, 1)
        self.branch = nn.Sequential(layers)
        self.residual = block.stride == 1 and block.inputs == block.outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, H / stride, W / stride), rounded up."""
        y: Tensor = self.branch(x)
        return x + y if self.residual else y


def _squeeze_excitation(block: Block, hidden: int) -> SqueezeExcitation:
    if block.style == "efficientnet":
        squeezed = max(1, block.inputs // 4)
        return SqueezeExcitation(hidden, squeezed, nn.SiLU(), nn.Sigmoid())
    return SqueezeExcitation(
        hidden, divisible(hidden // 4, block.divisor), nn.ReLU(), HardSigmoid()
    )


def stem(image_channels: int, channels: int, stride: int, style: Style) -> nn.Module:
    """Return the first convolution."""
    return convolution(image_channels, channels, 3, stride, act=partial(activation, style, False))


def head(inputs: int, channels: int, num_classes: int, style: Style) -> nn.Module:
    """Return the last convolution, mean over pixels, and classifier."""
    act = partial(activation, style, False)
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if style != "v3":
        last = convolution(inputs, channels, 1, act=act)
        return nn.Sequential(last, *pool, nn.Linear(channels, num_classes))
    last = convolution(inputs, 6 * inputs, 1, act=act)
    layers = [nn.Linear(6 * inputs, channels), act(), nn.Linear(channels, num_classes)]
    return nn.Sequential(last, *pool, *layers)


@dataclass(frozen=True)
class Plan:
    """A network as it is built: its stem's channels and stride, and its stages' blocks."""

    stem: int
    stem_stride: int
    stages: tuple[tuple[Block, ...], ...]
    style: Style


def plan(
    stages: Sequence[Stage],
    strides: Sequence[int],
    macro: MobilenetMacro,
    input_shape: tuple[int, int, int],
    num_classes: int,
) -> Plan:
    """Return what the network is built of.

    Raises:
        InputError: the images are too small, or the reduction is none of the skeleton's.
    """
    published = (STEM_STRIDE, *strides)
    total = 1
    for stride in published:
        total *= stride
    least = LEAST_SIDE if macro.reduction is None else macro.reduction + 1
    check_problem(input_shape, num_classes, least, "the last of the reduced maps")
    wanted = macro.reduction or _reduction(min(input_shape[1:]), total)
    if wanted > total or total % wanted:
        raise InputError(f"reduction={wanted} must be a power of two, at most {total}, or null")
    taken = list(_dropped(published, total // wanted))
    channels = divisible(macro.stem * macro.multiplier, macro.divisor)
    first, nominal, built = channels, STEM_STRIDE, []
    for stage, stride, published_stride in zip(stages, taken[1:], strides, strict=True):
        nominal *= published_stride
        blocks = []
        outputs = divisible(stage.width * macro.multiplier, macro.divisor)
        for number in range(stage.depth):
            blocks.append(
                Block(
                    channels,
                    outputs,
                    stage.kernel,
                    stride if number == 0 else 1,
                    stage.expansion,
                    stage.se,
                    macro.style,
                    nominal < 16,
                    macro.divisor,
                )
            )
            channels = outputs
        built.append(tuple(blocks))
    return Plan(first, taken[0], tuple(built), macro.style)


def _reduction(side: int, total: int) -> int:
    while total > 1 and -(-side // total) < LEAST_SIDE:
        total //= 2
    return total


def _dropped(strides: Sequence[int], factor: int) -> Iterator[int]:
    """Yield the strides without the first ones whose product is ``factor``."""
    for stride in strides:
        if factor > 1 and stride > 1:
            factor //= stride
            yield 1
        else:
            yield stride


class Mobilenet(ChainNetwork):
    """The network of a plan; images (n, channels, H, W) to logits (n, classes)."""

    def __init__(self, plan: Plan, image_channels: int, head_channels: int, classes: int) -> None:
        super().__init__()
        self.stem = stem(image_channels, plan.stem, plan.stem_stride, plan.style)
        self.cells = nn.ModuleList(
            nn.Sequential(
                OrderedDict((f"block{i}", InvertedResidual(block)) for i, block in enumerate(stage))
            )
            for stage in plan.stages
        )
        self.head = head(plan.stages[-1][-1].outputs, head_channels, classes, plan.style)
