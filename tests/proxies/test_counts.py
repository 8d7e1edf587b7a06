"""Sizes, depth and chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_search.passes.base import DeadNetwork
from nas_search.passes.structure import Depth, LiveParameters, Weights
from nas_search.scoring import Measuring, measure
from nas_search.spaces.nasbench201 import Nasbench201Genotype, Nasbench201Space
from tests.proxies.naive import CELLS, batch
from tests.scoring.problem import task

SPACE = Nasbench201Space()


def test_params_and_flops_equal_those_of_the_evaluation() -> None:
    evaluation = task(proxies=("params", "flops")).evaluate(CELLS[0])
    assert evaluation.scores == {"params": evaluation.params, "flops": evaluation.macs}


def depth(network: nn.Module) -> int:
    images, labels = batch()
    return measure(network.double(), images, labels, kinds=[Depth])[Depth].layers


@pytest.mark.parametrize(
    ("cell", "longest"),
    [
        ("|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|", 0),
        ("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|nor_conv_3x3~2|", 3),
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~2|", 2),
        ("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|nor_conv_1x1~0|none~1|none~2|", 1),  # dead end
    ],
)
def test_depth_is_the_length_of_the_longest_path(cell: str, longest: int) -> None:
    # Stem, classifier, two residual blocks of two convolutions, three cells.
    network = SPACE.build(SPACE.parse(cell), (3, 8, 8), 3, cells=1, channels=4)
    assert depth(network) == 6 + 3 * longest


def test_depth_keeps_the_network_unchanged_and_refuses_dead_ones() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 3))
    network.train()
    before = {k: v.clone() for k, v in network.double().state_dict().items()}
    assert depth(network) == 2
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert network[1].training
    dead = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    with pytest.raises(DeadNetwork, match="do not depend on the image"):
        depth(SPACE.build(SPACE.parse(dead), (3, 8, 8), 3, cells=1, channels=4))


def alive(genotype: Nasbench201Genotype) -> Nasbench201Genotype:
    """Return the cell with ``none`` in place of every edge off all paths from node 0 to node 3."""
    ops = {(i, j): op for j in (1, 2, 3) for i, op in enumerate(edges(genotype)[j - 1])}
    fed, needed = {0}, {3}
    for i, j in sorted(ops):
        if i in fed and ops[i, j] != "none":
            fed.add(j)
    for i, j in sorted(ops, reverse=True):
        if j in needed and ops[i, j] != "none":
            needed.add(i)
    left = {(i, j): op if i in fed and j in needed else "none" for (i, j), op in ops.items()}
    nodes = ["|".join(f"{left[i, j]}~{i}" for i in range(j)) for j in (1, 2, 3)]
    return SPACE.parse("+".join(f"|{node}|" for node in nodes))


def edges(genotype: Nasbench201Genotype) -> list[list[str]]:
    """Return the operations into nodes 1, 2 and 3, each by the node they come from."""
    nodes = str(genotype).split("+")
    return [[edge.split("~")[0] for edge in node.strip("|").split("|")] for node in nodes]


def test_live_parameters_are_those_of_the_network_without_dead_branches() -> None:
    rng = np.random.default_rng(1)
    smaller = 0
    for _ in range(60):
        cell = SPACE.sample(rng)
        live = task(proxies=("params_live",)).evaluate(cell)
        if live.status == "dead":
            continue
        pruned = task().cost(alive(cell)).params
        assert live.scores["params_live"] == pruned, cell
        assert live.params is not None
        smaller += pruned < live.params
    assert smaller > 5


def test_layer_without_image_input_is_not_live() -> None:
    class Fed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.shared = nn.Linear(4, 4), nn.Linear(4, 4)
            self.constant, self.unheard = nn.Linear(4, 3), nn.Linear(4, 3)
            self.head = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.shared(self.shared(self.used(x.flatten(1)[:, :4])))
            self.unheard(x)
            logits: torch.Tensor = self.head(x) + self.constant(torch.zeros_like(x))
            return logits

    seen = measure(Fed().double(), *batch(), Measuring("frozen"), [LiveParameters])
    assert seen[LiveParameters].count == (16 + 4) * 2 + 8 + 15  # used, shared once, and the head


def test_weights_are_those_of_convolutions_and_linear_layers() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 3))
    assert list(measure(network, *batch(), kinds=[Weights])[Weights].weights) == ["0", "3"]


def test_chance_depends_on_seed_draw_and_network_alone() -> None:
    rng = np.random.default_rng(0)
    cells = [SPACE.sample(rng) for _ in range(200)]
    values = {c: task(proxies=("random",)).evaluate(c).scores["random"] for c in cells}
    by_network = {SPACE.canonical(c): v for c, v in values.items()}
    assert len(set(values.values())) == len(by_network)
    assert 0.4 < np.mean(list(by_network.values())) < 0.6
    assert task(proxies=("random",), seed=1).evaluate(cells[0]).scores["random"] != values[cells[0]]
    mean = task(proxies=("random",), repeats=50).evaluate(cells[0]).scores["random"]
    assert 0.3 < mean < 0.7
