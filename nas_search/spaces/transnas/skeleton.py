"""TransNAS-Bench-101's skeleton: a stem, modules of two blocks each, pooling and a classifier.

Source: Duan et al., CVPR 2021, arXiv 2105.11871; sizes as in the authors' repository.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.arguments import check_int, check_problem, read_macro
from nas_search.spaces.chain import ChainNetwork
from nas_search.spaces.operations import half, relu_conv_bn

BASE = 64
"""Channels of the published networks, the first number of their texts."""

BLOCKS = 2
"""Blocks of a module; the first one doubles the channels and halves the image."""

SMALLEST_IMAGE = 2
"""Smallest side in pixels: batch-norm needs a variance."""

DOUBLES = ("2", "4")
"""Kinds of modules that double the channels."""

HALVES = ("3", "4")
"""Kinds of modules that halve the image."""


@dataclass(frozen=True)
class TransnasMacro:
    """Sizes of the skeleton; the defaults are those of the benchmark, for images of 256 x 256.

    Attributes:
        channels: channels of the first module, 1 or more; the stem's first convolution has half.
        stem_halvings: how often the stem halves the image, 0 to 2.
        last_relu: whether a ReLU stands before the pooling. The published networks have none, so
            that batch-norm of single images, whose means are zero, leaves nothing to pool.
    """

    channels: int = BASE
    stem_halvings: int = 2
    last_relu: bool = False

    def __post_init__(self) -> None:
        check_int("channels", self.channels, 1)
        check_int("stem_halvings", self.stem_halvings, 0)
        if self.stem_halvings > 2:
            raise InputError(f"stem_halvings must be 0, 1 or 2, got {quote(self.stem_halvings)}")
        if not isinstance(self.last_relu, bool):
            raise InputError(f"last_relu must be true or false, got {quote(self.last_relu)}")


class Block(NamedTuple):
    """A block of the skeleton.

    Attributes:
        inputs: channels of its input.
        outputs: channels of its output.
        stride: 1, or 2 where it halves the image.
        sides: height and width of its input.
    """

    inputs: int
    outputs: int
    stride: int
    sides: tuple[int, int]

    @property
    def after(self) -> tuple[int, int]:
        """Height and width of its output."""
        height, width = self.sides
        return (half(height), half(width)) if self.stride == 2 else self.sides


def stem_strides(sides: tuple[int, int], halvings: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the strides of the stem's two convolutions, and the sides after it."""
    strides = []
    for wanted in (halvings >= 1, halvings >= 2):
        strides.append(stride_at(sides) if wanted else 1)
        sides = (half(sides[0]), half(sides[1])) if strides[-1] == 2 else sides
    return (strides[0], strides[1]), sides


def stride_at(sides: tuple[int, int]) -> int:
    """Return the stride of what halves an image: 2, but 1 where it has 2 pixels a side.

    A map of one pixel has no variance, and per-sample batch-norm would leave zeros.
    """
    return 2 if min(sides) > 2 else 1


def blocks_of(
    modules: Sequence[str], input_shape: Sequence[int], macro: TransnasMacro
) -> list[Block]:
    """Return the blocks of the modules, each a digit: 1, 2 (doubles), 3 (halves), 4 (both)."""
    _, sides = stem_strides((input_shape[1], input_shape[2]), macro.stem_halvings)
    channels, blocks = macro.channels, []
    for module in modules:
        outputs = 2 * channels if module in DOUBLES else channels
        stride = stride_at(sides) if module in HALVES else 1
        for _ in range(BLOCKS):
            blocks.append(Block(channels, outputs, stride, sides))
            channels, stride, sides = outputs, 1, blocks[-1].after
    return blocks


def stem(image_channels: int, channels: int, strides: tuple[int, int]) -> nn.Sequential:
    """Return a convolution of the image, and another after batch-norm and ReLU."""
    first = max(1, channels // 2)
    return nn.Sequential(
        nn.Conv2d(image_channels, first, 3, stride=strides[0], padding=1, bias=False),
        nn.BatchNorm2d(first),
        relu_conv_bn(first, channels, 3, strides[1]),
    )


def head(channels: int, num_classes: int, last_relu: bool) -> nn.Sequential:
    """Return ReLU or nothing, global average pooling and the linear classifier."""
    return nn.Sequential(
        nn.ReLU() if last_relu else nn.Identity(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, num_classes),
    )


class TransnasNetwork(ChainNetwork):
    """A skeleton; images (n, channels, H, W) to logits (n, num_classes).

    Args:
        make: returns the module of a block.
        blocks: the blocks, see :func:`blocks_of`.
        macro: sizes of stem and classifier.
        input_shape: (channels, height, width).
        num_classes: number of classes.
    """

    def __init__(
        self,
        make: Callable[[Block], nn.Module],
        blocks: Sequence[Block],
        macro: TransnasMacro,
        input_shape: tuple[int, int, int],
        num_classes: int,
    ) -> None:
        super().__init__()
        image_channels, height, width = input_shape
        strides, _ = stem_strides((height, width), macro.stem_halvings)
        self.stem = stem(image_channels, macro.channels, strides)
        self.cells = nn.ModuleList(make(block) for block in blocks)
        self.head = head(blocks[-1].outputs, num_classes, macro.last_relu)


def checked_sizes(
    input_shape: tuple[int, int, int], num_classes: int, macro: Mapping[str, Any]
) -> TransnasMacro:
    """Return the sizes of the skeleton.

    Raises:
        InputError: there is no network of them, or none for such images.
    """
    sizes = read_macro(TransnasMacro, macro)
    check_problem(input_shape, num_classes, SMALLEST_IMAGE, "batch-norm")
    return sizes
