"""NAS-Bench-101's skeleton: a stem, stacks of cells with pooling between, a linear classifier.

In a cell, a vertex adds up its inputs, and the output concatenates them. The cell's input reaches
every vertex through a separate 1x1 projection to the channels of that vertex; at the output, the
projected input is added to the rest. All convolutions are followed by batch-norm and ReLU, in this
order.

Source: Ying et al., ICML 2019, arXiv 1902.09635, section 2 and appendix; channel rules from
github.com/google-research/nasbench (model_builder.py, base_ops.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.spaces.arguments import check_int
from nas_search.spaces.nasbench101.graph import MAX_VERTICES, OPERATIONS, CellGraph101
from nas_search.spaces.operations import half, max_pool

BATCH_NORM_MOMENTUM = 1 - 0.997
"""The published decay of .997 in torch's convention, the weight of the new batch."""


@dataclass(frozen=True)
class Nasbench101Macro:
    """Sizes of the skeleton; the defaults are those of the benchmark.

    Attributes:
        modules_per_stack: cells in each stack, 1 or more.
        stacks: number of stacks, 1 or more; between two of them the sides are halved.
        channels: channels of the stem and of the first stack's cells, 5 or more, since up to five
            vertices share them; doubled from stack to stack.
    """

    modules_per_stack: int = 3
    stacks: int = 3
    channels: int = 128

    def __post_init__(self) -> None:
        check_int("modules_per_stack", self.modules_per_stack, 1)
        check_int("stacks", self.stacks, 1)
        check_int("channels", self.channels, MAX_VERTICES - 2)

    @property
    def smallest_image(self) -> int:
        """Smallest side in pixels: 2x2 is left, so that batch-norm has a variance."""
        return (1 << self.stacks - 1) + 1


@dataclass(frozen=True)
class CellPlan101:
    """The properties of a cell that follow from its position in the skeleton.

    Attributes:
        inputs: channels of the cell's input.
        outputs: channels of its output.
        size: height and width.
        pool: whether the image is halved just before this cell.
    """

    inputs: int
    outputs: int
    size: tuple[int, int]
    pool: bool


def plan_cells(macro: Nasbench101Macro, size: tuple[int, int]) -> Iterator[CellPlan101]:
    """Yield one plan per cell of the skeleton for images of ``size`` (height, width)."""
    inputs = outputs = macro.channels
    for stack in range(macro.stacks):
        if stack:
            outputs, size = 2 * outputs, (half(size[0]), half(size[1]))
        for index in range(macro.modules_per_stack):
            yield CellPlan101(inputs, outputs, size, pool=stack > 0 and index == 0)
            inputs = outputs


def vertex_channels(graph: CellGraph101, outputs: int) -> tuple[int, ...]:
    """Return the channels of vertices 1 to the output, in a cell with ``outputs`` channels.

    The vertices that feed the output share its channels equally; the first ones get one more if
    they do not divide evenly. Every other vertex is as wide as the widest that it feeds; a vertex
    that is narrower than its source by one reads its first channels.
    """
    feeding = [v for v in graph.sources[-1] if v]
    widths = [0] * len(graph.sources)
    widths[-1] = outputs
    for index, v in enumerate(feeding):
        widths[v - 1] = outputs // len(feeding) + (index < outputs % len(feeding))
    for v in range(len(widths) - 1, 0, -1):
        if v not in feeding:
            widths[v - 1] = max(
                widths[y - 1] for y in range(v + 1, graph.vertices - 1) if v in graph.sources[y - 1]
            )
    return tuple(widths)


def conv_bn_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Return a square convolution of odd ``kernel`` padded to keep sides, batch-norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-5, momentum=BATCH_NORM_MOMENTUM),
        nn.ReLU(),
    )


MAKERS: dict[str, Callable[[int], nn.Module]] = {
    "conv3x3-bn-relu": lambda channels: conv_bn_relu(channels, channels, 3),
    "conv1x1-bn-relu": lambda channels: conv_bn_relu(channels, channels, 1),
    "maxpool3x3": lambda channels: max_pool(),
}
"""Functions from the channels, equal for input and output, to the module of each operation."""


class Nasbench101Cell(nn.Module):
    """One cell; (n, inputs, H, W) to (n, outputs, H, W).

    Args:
        graph: the pruned cell.
        inputs: channels of the cell's input.
        outputs: channels of its output.
    """

    def __init__(self, graph: CellGraph101, inputs: int, outputs: int) -> None:
        super().__init__()
        self._sources = graph.sources
        self._widths = vertex_channels(graph, outputs)
        self._names: list[str] = []
        for v, operation in enumerate(graph.operations, 1):
            name, width = OPERATIONS[operation], self._widths[v - 1]
            self._names.append(f"vertex{v}_{name}")
            self.add_module(self._names[-1], MAKERS[name](width))
            if 0 in graph.sources[v - 1]:
                self.add_module(f"vertex{v}_projection", conv_bn_relu(inputs, width, 1))
        self.output_projection: nn.Module | None = None
        if 0 in graph.sources[-1]:
            self.output_projection = conv_bn_relu(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, H, W), vertex by vertex."""
        values = [x]
        for v, name in enumerate(self._names, 1):
            width = self._widths[v - 1]
            value: Tensor | None = None
            for source in self._sources[v - 1]:
                if source:
                    term = values[source]
                    term = term if term.shape[1] == width else term[:, :width]
                else:
                    term = self.get_submodule(f"vertex{v}_projection")(x)
                value = term if value is None else value + term
            values.append(self.get_submodule(name)(value))
        feeding = [values[source] for source in self._sources[-1] if source]
        if self.output_projection is None:
            return feeding[0] if len(feeding) == 1 else torch.cat(feeding, dim=1)
        projected: Tensor = self.output_projection(x)
        return projected + torch.cat(feeding, dim=1) if feeding else projected


class Nasbench101Network(nn.Module):
    """The network of one cell; images (n, channels, H, W) to logits (n, num_classes)."""

    def __init__(
        self, graph: CellGraph101, macro: Nasbench101Macro, image_channels: int, num_classes: int
    ) -> None:
        super().__init__()
        side = macro.smallest_image  # any size: no module depends on it
        plans = list(plan_cells(macro, (side, side)))
        self.stem = conv_bn_relu(image_channels, macro.channels, 3)
        self.cells = nn.ModuleList(
            Nasbench101Cell(graph, plan.inputs, plan.outputs) for plan in plans
        )
        self._pool_before = [plan.pool for plan in plans]
        self.pool = stack_pool()
        self.head = head(plans[-1].outputs, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, num_classes) of ``images`` (n, channels, H, W)."""
        x = self.stem(images)
        for cell, halve in zip(self.cells, self._pool_before, strict=True):
            x = cell(self.pool(x) if halve else x)
        logits: Tensor = self.head(x)
        return logits


def stack_pool() -> nn.MaxPool2d:
    """Return the 2x2 max pooling between stacks; a side of length L becomes ceil(L / 2)."""
    return nn.MaxPool2d(2, stride=2, ceil_mode=True)


def head(channels: int, num_classes: int) -> nn.Sequential:
    """Return global average pooling and the linear classifier."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
