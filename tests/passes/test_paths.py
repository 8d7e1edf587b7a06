"""Paths through stacked networks against those through each candidate's own, and by hand."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.passes.paths import find_paths, layers_of_each
from nas_search.passes.structure import count_live
from nas_search.scoring import initialize
from nas_search.scoring.networks import StackedNetworks
from nas_search.spaces.nasbench201 import Nasbench201Space
from nas_search.stacked.network import StackedNetwork
from tests.scoring.problem import task
from tests.stacks import DEAD, SPACES, candidates_of

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
law = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def flags_of_each(network: nn.Module, candidates: int) -> list[dict[str, list[Any]]]:
    """Return by candidate and name of each ReLU and layer, what is known of its calls."""
    names = {module: name for name, module in network.named_modules()}
    flags: list[dict[str, list[Any]]] = [defaultdict(list) for _ in range(candidates)]
    for call in find_paths(network, IMAGES, (nn.Module,)).calls:
        if isinstance(call.module, nn.ReLU | nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            for number, *own in zip(call.members, call.from_image, call.from_any, strict=True):
                flags[number][names[call.module]].append(tuple(own))
    return flags


@pytest.mark.parametrize("form", ["pruned", pytest.param("complete", marks=pytest.mark.slow)])
@pytest.mark.parametrize("space", SPACES)
@law
@given(st.data())
def test_they_are_those_of_each_candidate_alone(space: str, form: Any, data: st.DataObject) -> None:
    problem = task(SPACES[space])
    drawn = data.draw(candidates_of(space))
    alike = [g for g in drawn if SPACES[space].skeleton(g) == SPACES[space].skeleton(drawn[0])]
    stack = StackedNetworks(problem)(alike, 0, "default")(form)
    paths = find_paths(stack, IMAGES, (nn.Module,))
    live = count_live(stack, paths)
    flags = flags_of_each(stack, len(alike))
    layers = layers_of_each(stack, IMAGES)
    for number, genotype in enumerate(alike):
        network = problem.build(genotype)
        alone = find_paths(network, IMAGES, (nn.Module,))
        assert [paths.lengths[number]] == alone.lengths, str(genotype)
        assert [live[number]] == count_live(network, alone), str(genotype)
        assert (alone.lengths == [None]) == (SPACES[space].canonical(genotype) == "dead")
        (own,) = flags_of_each(network, 1)
        shared = own.keys() & flags[number].keys()
        assert shared or alone.lengths == [None]
        for name in shared:
            assert flags[number][name] == own[name], (name, str(genotype))
        # What the stack leaves out leads nowhere.
        assert not any(from_any for name in own.keys() - shared for _, from_any in own[name])
        if form == "complete":
            assert layers[number] == layers_of_each(network, IMAGES)[0], str(genotype)


def longest(operations: dict[tuple[int, int], str]) -> int | None:
    """Return the number of convolutions on the longest path through a NAS-Bench-201 cell."""
    lengths: dict[int, int] = {0: 0}
    for source, target in sorted(operations, key=lambda edge: edge[1]):
        operation = operations[source, target]
        if source in lengths and operation != "none":
            through = lengths[source] + operation.startswith("nor_conv")
            lengths[target] = max(lengths.get(target, 0), through)
    return lengths.get(3)


def test_lengths_are_those_counted_along_the_edges() -> None:
    space, rng = Nasbench201Space(), np.random.default_rng(0)
    cells = [DEAD, *(space.sample(rng) for _ in range(40))]
    stack = StackedNetworks(task())(cells, 0, "default")("complete")
    edges = [(i, j) for j in (1, 2, 3) for i in range(j)]
    counted = [longest(dict(zip(edges, cell.operations, strict=True))) for cell in cells]
    # Stem, classifier, two residual blocks of two convolutions, three cells.
    expected = [None if length is None else 6 + 3 * length for length in counted]
    assert find_paths(stack, IMAGES, (nn.Module,)).lengths == expected
    assert len(set(expected)) == 5


class Attention(nn.Module):
    """A class token, attention that runs its output layer itself, and a branch without effect."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.unheard, self.head = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.never = nn.Linear(8, 8)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) to (n, 3)."""
        x = self.embed(images).flatten(2).mT
        x = self.norm(torch.cat([self.token.expand(len(x), -1, -1), x], 1))
        self.unheard(x)
        logits: Tensor = self.head((x + self.attention(x, x, x)[0])[:, 0])
        return logits


def test_a_transformer_has_paths_too() -> None:
    network = Attention().train()
    paths = find_paths(network, IMAGES, (nn.Module,))
    assert paths.lengths == [4]  # embedding, attention's projections before and after, and head
    dead = [*network.unheard.parameters(), *network.never.parameters()]
    total = sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in dead)
    assert count_live(network, paths) == [total]


class Careless(StackedNetwork):
    """Picks candidates by indexing, which leaves no trace of who they are."""

    def __init__(self) -> None:
        super().__init__(3)
        self.stem, self.layer = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) to (3 n, 4)."""
        x = self.stem(self.fold(images)).unflatten(0, (3, -1))
        self.candidates.active = (0, 2)
        y = self.layer(x[[0, 2]].flatten(0, 1)).unflatten(0, (2, -1))
        return torch.cat([y, y[:1]]).flatten(0, 1).mean((2, 3))


def test_rows_moved_without_routing_are_refused() -> None:
    with pytest.raises(InputError, match=r"moves them by nas_search\.stacked\.routing alone"):
        find_paths(Careless(), IMAGES, (nn.Module,))


def test_the_network_is_left_as_it_was() -> None:
    network = initialize(nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)), 0).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert find_paths(network, IMAGES, (nn.Module,)).calls
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network[1].training
    assert not any(module._forward_hooks for module in network.modules())
    assert network[0].weight.grad is None
