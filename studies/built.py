"""What a network is built of: its stem, cells and head, with the shapes that they make."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.spaces import SearchSpace


@dataclass(frozen=True)
class Step:
    """A part of a network.

    Attributes:
        module: itself.
        shape: of its output, without the batch.
        halves: whether its output has fewer rows than that of the part before.
    """

    module: nn.Module
    shape: tuple[int, ...]
    halves: bool

    @property
    def note(self) -> str:
        """Channels, and height x width."""
        return "x".join(map(str, self.shape))


def steps(
    space: SearchSpace[Any],
    genotype: Hashable,
    input_shape: tuple[int, int, int],
    num_classes: int,
    **macro: Any,
) -> list[Step]:
    """Return stem, cells and head of a network, in their order.

    Only shapes are computed: nothing is allocated or drawn.
    """
    with torch.device("meta"):
        network: Any = space.build(genotype, input_shape, num_classes, **macro).eval()
        seen: list[Step] = []
        before = [input_shape[-1]]

        def note(module: nn.Module, _: Any, output: Tensor) -> None:
            shape = tuple(output.shape[1:])
            sides = len(shape) > 1
            seen.append(Step(module, shape, sides and shape[-1] < before[-1]))
            before.append(shape[-1] if sides else 1)

        for part in (network.stem, *network.cells, network.head):
            part.register_forward_hook(note)
        network(torch.empty(2, *input_shape))
    return seen
