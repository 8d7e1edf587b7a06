"""Sizes, depth and chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_search.passes import Depth, Weights
from nas_search.passes.base import DeadNetwork
from nas_search.scoring import measure
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.proxies.naive import CELLS, batch
from tests.scoring.problem import task

SPACE = Nasbench201Space()


def test_params_and_flops_are_the_evaluations_own() -> None:
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
def test_depth_is_that_of_the_longest_path(cell: str, longest: int) -> None:
    # Stem, classifier, two residual blocks of two convolutions, three cells.
    network = SPACE.build(SPACE.parse(cell), (3, 8, 8), 3, cells=1, channels=4)
    assert depth(network) == 6 + 3 * longest


def test_depth_leaves_the_network_alone_and_knows_the_dead() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 3))
    network.train()
    before = {k: v.clone() for k, v in network.double().state_dict().items()}
    assert depth(network) == 2
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert network[1].training
    dead = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    with pytest.raises(DeadNetwork, match="do not depend on the image"):
        depth(SPACE.build(SPACE.parse(dead), (3, 8, 8), 3, cells=1, channels=4))


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
