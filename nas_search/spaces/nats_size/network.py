"""The network of NATS-Bench size: cells of NAS-Bench-201 whose widths are free.

Source: Dong et al., TPAMI 2021, arXiv 2009.00437; sizes as in the authors' repository.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from nas_search.spaces.chain import ChainNetwork
from nas_search.spaces.four_nodes import EDGES
from nas_search.spaces.nasbench201.network import head, stem
from nas_search.spaces.operations import ResidualBlock, half, relu_conv_bn
from nas_search.spaces.parts import Part

CELL = (
    *("nor_conv_3x3", "nor_conv_3x3", "nor_conv_3x3"),
    *("skip_connect", "nor_conv_3x3", "nor_conv_3x3"),
)
"""The benchmark's cell, one operation per edge: the best of its topologies on CIFAR-100."""

REDUCTIONS = (False, True, False, True, False)
"""Which of the five layers are residual blocks that halve the image; the others are cells."""


class Layer(NamedTuple):
    """A cell or block: channels before and after it, height and width of its input."""

    reduces: bool
    inputs: int
    outputs: int
    sides: tuple[int, int]


def layers_of(widths: Sequence[int], sides: tuple[int, int]) -> list[Layer]:
    """Return the five layers of ``widths``; the stem has the first width."""
    layers, inputs = [], widths[0]
    for reduces, outputs in zip(REDUCTIONS, widths, strict=True):
        layers.append(Layer(reduces, inputs, outputs, sides))
        inputs = outputs
        if reduces:
            sides = (half(sides[0]), half(sides[1]))
    return layers


def edge(name: str, inputs: int, outputs: int) -> nn.Module:
    """Return the module of an edge; a skip is a 1x1 convolution where the width changes."""
    if name == "nor_conv_3x3":
        return relu_conv_bn(inputs, outputs, 3)
    if inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


class NatsSizeCell(nn.Module):
    """The cell; edges from its input change the width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        for (source, target), name in zip(EDGES, CELL, strict=True):
            width = outputs if source else inputs
            self.add_module(f"node{target}_from{source}", edge(name, width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, H, W)."""
        nodes = [x]
        for target in (1, 2, 3):
            terms = [
                self.get_submodule(f"node{target}_from{source}")(nodes[source])
                for source in range(target)
            ]
            value = terms[0]
            for term in terms[1:]:
                value = value + term
            nodes.append(value)
        return nodes[3]


class NatsSizeNetwork(ChainNetwork):
    """Five widths' network; images (n, channels, H, W) to logits (n, num_classes)."""

    def __init__(
        self, widths: Sequence[int], input_shape: tuple[int, int, int], num_classes: int
    ) -> None:
        super().__init__()
        image_channels, height, width = input_shape
        self.stem = stem(image_channels, widths[0])
        self.cells = nn.ModuleList(
            (ResidualBlock if layer.reduces else NatsSizeCell)(layer.inputs, layer.outputs)
            for layer in layers_of(widths, (height, width))
        )
        self.head = head(widths[-1], num_classes)


def network_parts(
    widths: Sequence[int], input_shape: tuple[int, int, int], num_classes: int
) -> Counter[Part]:
    """Return the parts and how often each occurs; the arguments are checked by the caller."""
    image_channels, height, width = input_shape
    parts = Counter([Part(stem, (image_channels, widths[0]), (image_channels, height, width))])
    for layer in layers_of(widths, (height, width)):
        before, after = (layer.inputs, *layer.sides), (layer.outputs, *layer.sides)
        if layer.reduces:
            parts[Part(ResidualBlock, (layer.inputs, layer.outputs), before)] += 1
        else:
            for (source, _), name in zip(EDGES, CELL, strict=True):
                shape = after if source else before
                parts[Part(edge, (name, shape[0], layer.outputs), shape)] += 1
        sides = layer.sides
    parts[Part(head, (widths[-1], num_classes), (widths[-1], *sides))] += 1
    return parts
