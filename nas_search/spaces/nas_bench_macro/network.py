"""The networks of NAS-Bench-Macro: a stem, three stages of two, three and three layers, a head.

Source: Su et al., CVPR 2021, arXiv 2103.11922; sizes as in the authors' repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from nas_search.spaces.arguments import check_int
from nas_search.spaces.chain import ChainNetwork
from nas_search.spaces.operations import half

STAGES = (2, 3, 3)
"""Layers of the stages; the first of each halves the image and doubles the channels."""

FIRST = tuple(sum(STAGES[:stage]) for stage in range(len(STAGES)))
"""Number of the first layer of each stage."""

OPERATIONS = {"identity": None, "mb3_k3": (3, 3), "mb6_k5": (6, 5)}
"""Expansion and kernel of the operations, in the order of the digits of a text."""

HEAD = 40
"""Width of the last convolution, over that of the stem: 1,280 for 32."""

SMALLEST_IMAGE = 2
"""Smallest side in pixels: batch-norm needs a variance."""


@dataclass(frozen=True)
class NasBenchMacroSizes:
    """Sizes of the skeleton; the defaults are those of the benchmark.

    Attributes:
        channels: channels of the stem, 1 or more; doubled by each stage.
    """

    channels: int = 32

    def __post_init__(self) -> None:
        check_int("channels", self.channels, 1)


class Place(NamedTuple):
    """Where a layer stands: channels in and out, stride, height and width of its input."""

    inputs: int
    outputs: int
    stride: int
    sides: tuple[int, int]


def places(sides: tuple[int, int], channels: int) -> list[Place]:
    """Return the places of the eight layers; maps of 2 x 2 pixels are not halved further."""
    found = []
    for number in range(sum(STAGES)):
        first = number in FIRST
        stride = 2 if first and min(sides) > 2 else 1
        found.append(Place(channels, 2 * channels if first else channels, stride, sides))
        channels = found[-1].outputs
        if stride == 2:
            sides = (half(sides[0]), half(sides[1]))
    return found


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return a convolution without bias, and batch-norm."""
    padding = kernel // 2
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class InvertedResidual(nn.Module):
    """MobileNetV2's block with ReLU: expand, depthwise convolution, project.

    Its input is added where neither channels nor sides change.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, kernel: int) -> None:
        super().__init__()
        hidden = expansion * inputs
        self.convolutions = nn.Sequential(
            *conv_bn(inputs, hidden, 1),
            nn.ReLU(),
            *conv_bn(hidden, hidden, kernel, stride, hidden),
            nn.ReLU(),
            *conv_bn(hidden, outputs, 1),
        )
        self.adds_input = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, ...), of half the sides where the stride is 2."""
        y: Tensor = self.convolutions(x)
        return y + x if self.adds_input else y


def layer(name: str, inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return the module of an operation; an identity is a 1x1 convolution where sizes change."""
    sizes = OPERATIONS[name]
    if sizes is not None:
        return InvertedResidual(inputs, outputs, stride, *sizes)
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(*conv_bn(inputs, outputs, 1, stride))


def stem(image_channels: int, channels: int) -> nn.Sequential:
    """Return the 3x3 convolution of the image, batch-norm and ReLU."""
    return nn.Sequential(*conv_bn(image_channels, channels, 3), nn.ReLU())


def head(channels: int, hidden: int, num_classes: int) -> nn.Sequential:
    """Return a 1x1 convolution with batch-norm and ReLU, global pooling and the classifier."""
    return nn.Sequential(
        *conv_bn(channels, hidden, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(hidden, num_classes),
    )


class NasBenchMacroLayer(nn.Module):
    """A layer; its only child is called as the operation."""

    def __init__(self, name: str, place: Place) -> None:
        super().__init__()
        self._name = name
        self.add_module(name, layer(name, *place[:3]))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, ...), of half the sides where the stride is 2."""
        y: Tensor = self.get_submodule(self._name)(x)
        return y


class NasBenchMacroNetwork(ChainNetwork):
    """The network of eight operations; images (n, channels, H, W) to logits (n, num_classes)."""

    def __init__(
        self,
        operations: Sequence[str],
        sizes: NasBenchMacroSizes,
        input_shape: tuple[int, int, int],
        num_classes: int,
    ) -> None:
        super().__init__()
        image_channels, height, width = input_shape
        found = places((height, width), sizes.channels)
        self.stem = stem(image_channels, sizes.channels)
        self.cells = nn.ModuleList(
            NasBenchMacroLayer(name, place) for name, place in zip(operations, found, strict=True)
        )
        self.head = head(found[-1].outputs, HEAD * sizes.channels, num_classes)
