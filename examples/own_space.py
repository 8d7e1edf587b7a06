"""A search space of your own in one file: a chain of blocks, each of them one of five.

python -m nas_search --config-dir examples/conf plugins=[examples.own_space] search_space=chain

One sees a search of its 625 chains, of six minutes at most, of two with budget=quick:
leaderboard.csv holds the best as "conv3|wide|skip|conv5", beside their drawings. Keys that the
command line can change stand in conf/search_space/chain.yaml.
Without ``build_stacked`` and ``StackedChain`` each candidate is scored alone; on a CPU that is as
fast, a GPU scores as many together as its memory holds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from nas_search.spaces import (
    SPACES,
    Choices,
    ChoiceSpace,
    Pool,
    SpaceRecord,
    StackedNetwork,
    check_int,
    check_problem,
    read_macro,
)
from nas_search.stacked.network import apply_to_members, device_of
from nas_search.stacked.routing import Edge, Routing, Step

LENGTH = 4


def conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Return a convolution that keeps the sides, batch-norm and ReLU."""
    weights = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(weights, nn.BatchNorm2d(outputs), nn.ReLU())


BLOCKS: dict[str, Callable[[int], nn.Module]] = {
    "skip": lambda width: nn.Identity(),
    "conv3": lambda width: conv(width, width, 3),
    "conv5": lambda width: conv(width, width, 5),
    "wide": lambda width: nn.Sequential(conv(width, 2 * width, 3), conv(2 * width, width, 1)),
    "pool": lambda width: nn.AvgPool2d(3, stride=1, padding=1),
}


def head(width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


class Chain(nn.Module):
    """The network of one genotype; a block's name says where it stands and what it is."""

    def __init__(self, blocks: tuple[str, ...], inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.stem = conv(inputs, width, 3)
        named = OrderedDict((f"{i}_{name}", BLOCKS[name](width)) for i, name in enumerate(blocks))
        self.blocks = nn.Sequential(named)
        self.head = head(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.stem(images)))
        return logits


@dataclass(frozen=True)
class Sizes:
    """Keys of conf/search_space/chain.yaml."""

    channels: int = 16

    def __post_init__(self) -> None:
        check_int("channels", self.channels, 1)


class ChainSpace(ChoiceSpace[Choices]):
    """The 5^4 chains."""

    name = "chain"
    positions = (tuple(BLOCKS),) * LENGTH

    def canonical(self, genotype: Choices) -> str:
        """Where a chain skips makes no difference."""
        return "|".join(block for block in genotype.choices if block != "skip") or "skip"

    def build(
        self, genotype: Choices, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> nn.Module:
        return Chain(genotype.choices, *sizes(input_shape, num_classes, macro))

    def build_stacked(
        self,
        genotypes: Sequence[Choices],
        pool: Pool,
        input_shape: tuple[int, int, int],
        num_classes: int,
        include_dead_branches: bool = False,  # a chain has none
        **macro: Any,
    ) -> StackedNetwork:
        return StackedChain(genotypes, pool, *sizes(input_shape, num_classes, macro))


def sizes(
    input_shape: tuple[int, int, int], num_classes: int, macro: dict[str, Any]
) -> tuple[int, int, int]:
    """Return channels of the images, width and classes; refuse what makes no network."""
    check_problem(input_shape, num_classes, 2, "batch-norm")
    return input_shape[0], read_macro(Sizes, macro).channels, num_classes


class StackedChain(StackedNetwork):
    """Several chains in one: each block runs once, on the samples of those that have it."""

    def __init__(
        self, genotypes: Sequence[Choices], pool: Pool, inputs: int, width: int, classes: int
    ) -> None:
        super().__init__(len(genotypes))
        self.stem = pool("stem", conv, inputs, width, 3)
        edges = [[Edge(i + 1, 0, b, 1, i) for i, b in enumerate(g.choices)] for g in genotypes]
        self._routing = Routing(edges, device_of(self.stem))
        self.blocks = nn.ModuleDict()
        for node in range(1, LENGTH + 1):
            for step in self._routing.steps[node]:
                name = f"{node - 1}_{step.operation}"
                self.blocks[name] = pool(f"blocks.{name}", BLOCKS[step.operation], width)
        self.head = pool("head", head, width, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(self.fold(images)).unflatten(0, (len(self.candidates), -1))
        (y,) = self._routing.run([x], [LENGTH], self._run_step, lambda: x.new_zeros(x.shape))
        logits: Tensor = self.head(y.flatten(0, 1))
        return logits

    def _run_step(self, node: int, step: Step, x: Tensor) -> Tensor:
        block = self.blocks[f"{node - 1}_{step.operation}"]
        return apply_to_members(self.candidates, step.members, block, x)


SPACES.add(SpaceRecord("chain", ChainSpace, Sizes, source="this file", narrow={"channels": 1}))
