"""The grids of the design spaces.

Source: Radosavovic et al., ICCV 2019, arXiv 1905.13214: of the cells the operations, nodes and what
is concatenated; of the residual networks how many values each choice has, and its ends.
"""

from __future__ import annotations

from dataclasses import dataclass

DEPTHS = (4, 8, 12, 16, 20)
"""Numbers of cells."""

WIDTHS = (16, 24, 32)
"""Channels of a node in the first cells."""


@dataclass(frozen=True)
class CellFamily:
    """A space of cells.

    Attributes:
        nodes: nodes of a cell, each with two operations.
        operations: names of the operations.
        loose: whether the nodes that no other reads are concatenated; otherwise all nodes are.
    """

    nodes: int
    operations: tuple[str, ...]
    loose: bool


_SEPARABLE = ("sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7")
_POOLS = ("avg_pool_3x3", "max_pool_3x3")

CELL_FAMILIES: dict[str, CellFamily] = {
    "amoeba": CellFamily(
        5, ("skip_connect", *_SEPARABLE, *_POOLS, "dil_sep_conv_3x3", "conv_7x1_1x7"), True
    ),
    "darts": CellFamily(
        4,
        (
            *("none", "skip_connect", *_SEPARABLE[:2], *_POOLS),
            *("dil_conv_3x3", "dil_conv_5x5"),
        ),
        False,
    ),
    "enas": CellFamily(5, ("skip_connect", *_SEPARABLE[:2], *_POOLS), True),
    "nasnet": CellFamily(
        5,
        (
            *("skip_connect", "conv_1x1", "conv_3x3", *_SEPARABLE),
            *(*_POOLS, "max_pool_5x5", "max_pool_7x7"),
            *("dil_conv_3x3", "conv_3x1_1x3", "conv_7x1_1x7"),
        ),
        True,
    ),
    "pnas": CellFamily(
        5, ("skip_connect", *_SEPARABLE, *_POOLS, "dil_conv_3x3", "conv_7x1_1x7"), False
    ),
}


@dataclass(frozen=True)
class ResidualFamily:
    """A space of residual networks: the values of each of three stages.

    Attributes:
        depths: numbers of blocks.
        widths: output channels.
        ratios: channels of the bottleneck over those of the output; none where blocks are basic.
        groups: numbers of groups of the 3x3 convolution.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    ratios: tuple[float, ...] = ()
    groups: tuple[int, ...] = ()


RESIDUAL_FAMILIES: dict[str, ResidualFamily] = {
    # Nine and twelve values with these ends are published, about even in their logarithm; those
    # between are ours.
    "resnet": ResidualFamily(
        (1, 2, 3, 4, 6, 8, 12, 16, 24), (16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256)
    ),
    "resnext_a": ResidualFamily(
        (1, 2, 4, 8, 16), (16, 32, 64, 128, 256), (1.0, 0.5, 0.25), (1, 2, 4)
    ),
    "resnext_b": ResidualFamily(
        (1, 2, 4, 8, 16), (64, 128, 256, 512, 1024), (1.0, 0.5, 0.25), (1, 2, 4, 8, 16)
    ),
}
