"""The cell of TransNAS-Bench-101 micro: four nodes, six edges, four operations."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nas_search.spaces.four_nodes import EDGES
from nas_search.spaces.operations import FactorizedReduce, relu_conv_bn, summed
from nas_search.spaces.transnas.skeleton import Block, TransnasMacro, TransnasNetwork

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")
"""Names of the operations, called as in NAS-Bench-201; a text has their numbers."""


def operation(name: str, inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return the module of an operation other than ``none``.

    A skip connection is an identity, or a factorized reduction where the image is halved.
    """
    if name == "skip_connect":
        if stride == 2:
            return FactorizedReduce(inputs, outputs)
        return nn.Identity() if inputs == outputs else relu_conv_bn(inputs, outputs, 1)
    return relu_conv_bn(inputs, outputs, 1 if name == "nor_conv_1x1" else 3, stride)


def edge_sizes(block: Block, source: int) -> tuple[int, int, int]:
    """Return channels in, channels out and stride of an edge: those from the input change them."""
    return block[:3] if source == 0 else (block.outputs, block.outputs, 1)


def child(source: int, target: int, name: str) -> str:
    """Return the name of the module of an edge."""
    return f"node{target}_from{source}_{name}"


class TransnasCell(nn.Module):
    """A cell; node 0 is its input, node 3 its output.

    Args:
        operations: one per edge of :data:`EDGES`.
        block: its place in the skeleton.
    """

    def __init__(self, operations: Sequence[str], block: Block) -> None:
        super().__init__()
        self._channels, self._sides = block.outputs, block.after
        self._incoming: list[list[tuple[str, int]]] = [[], [], [], []]
        for (source, target), name in zip(EDGES, operations, strict=True):
            if name != "none":
                self.add_module(
                    child(source, target, name), operation(name, *edge_sizes(block, source))
                )
                self._incoming[target].append((child(source, target, name), source))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, ...), of half the sides where the stride is 2."""
        nodes = [x]
        for incoming in self._incoming[1:]:
            value = summed(self, incoming, nodes)
            if value is None:
                value = x.new_zeros(x.shape[0], self._channels, *self._sides)
            nodes.append(value)
        return nodes[3]


class TransnasMicroNetwork(TransnasNetwork):
    """The network of one cell; images (n, channels, H, W) to logits (n, num_classes)."""

    def __init__(
        self,
        operations: Sequence[str],
        blocks: Sequence[Block],
        macro: TransnasMacro,
        input_shape: tuple[int, int, int],
        num_classes: int,
    ) -> None:
        super().__init__(
            lambda block: TransnasCell(operations, block), blocks, macro, input_shape, num_classes
        )
