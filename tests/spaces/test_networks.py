"""Functions of the networks, and their sizes before they are built."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_search.core.errors import InputError
from nas_search.spaces import SPACES, Cost, SearchSpace
from nas_search.spaces.costs import count
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.darts.genotype import OPERATIONS, PUBLISHED, Genotype
from nas_search.spaces.darts.network import MAKERS, DartsCell
from nas_search.spaces.nasbench201 import Nasbench201Genotype, Nasbench201Space
from nas_search.spaces.nasbench201.network import Nasbench201Cell
from nas_search.spaces.operations import FactorizedReduce, ResidualBlock

DARTS = DartsSpace(OPERATIONS)
NB201 = Nasbench201Space()
SPACES_UNDER_TEST: tuple[SearchSpace[Any], ...] = (DARTS, NB201)


def hand_count(network: nn.Module, shape: tuple[int, int, int]) -> Cost:
    """Count by recording every call of the convolution and linear functions."""
    macs = 0

    class Recorder(torch.overrides.TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            nonlocal macs
            result = func(*args, **(kwargs or {}))
            if func in (torch.conv2d, functional.conv2d, functional.linear):
                macs += result.numel() * args[1][0].numel()
            return result

    network.eval()
    with torch.no_grad(), Recorder():
        network(torch.zeros(1, *shape, device="meta"))
    return Cost(sum(p.numel() for p in network.parameters()), macs)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 5, 5), (4, 17, 30)])
@pytest.mark.parametrize(
    ("space", "macro"),
    [
        (DARTS, {"cells": 3, "channels": 5}),
        (DARTS, {"cells": 4, "channels": 1}),
        (DARTS, {"cells": 8, "channels": 16}),
        (NB201, {}),
        (NB201, {"cells": 2, "channels": 3}),
    ],
)
def test_cost_equals_that_of_the_built_network(
    space: SearchSpace[Any], macro: dict[str, int], shape: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        genotype = space.sample(rng)
        with torch.device("meta"):
            network = space.build(genotype, shape, 7, **macro)
        assert space.cost(genotype, shape, 7, **macro) == hand_count(network, shape)


def test_cost_follows_the_width_of_the_concatenation_and_the_auxiliary_head() -> None:
    v2 = PUBLISHED["DARTS_V2"]
    genotype = Genotype(v2.normal, (3, 5), v2.reduce, (4, 2, 5))
    for auxiliary in (False, True):
        macro = {"cells": 5, "channels": 4, "auxiliary": auxiliary}
        with torch.device("meta"):
            network = DARTS.build(genotype, (3, 32, 32), 10, **macro)
        assert DARTS.cost(genotype, (3, 32, 32), 10, **macro) == hand_count(network, (3, 32, 32))


def test_auxiliary_head_runs_in_train_mode_only() -> None:
    genotype = PUBLISHED["P_DARTS"]
    macro = {"cells": 3, "channels": 2, "auxiliary": True}
    for size in (29, 32, 48):
        network = DARTS.build(genotype, (3, size, size), 6, **macro)
        images = torch.randn(2, 3, size, size)
        logits, auxiliary = network(images)
        assert logits.shape == auxiliary.shape == (2, 6)
        assert network.eval()(images).shape == (2, 6)
    with pytest.raises(InputError, match="auxiliary head needs at least 29x29"):
        DARTS.build(genotype, (3, 28, 28), 6, **macro)


@pytest.mark.parametrize("space", [DARTS, NB201])
def test_smallest_image_leaves_two_by_two(space: SearchSpace[Any]) -> None:
    genotype = space.sample(np.random.default_rng(0))
    macro = SPACES.get(space.name).macro(cells=3, channels=2)
    sizes = {"cells": macro.cells, "channels": macro.channels}
    network = space.build(genotype, (3, 5, 5), 2, **sizes)
    maps = []
    pool = next(m for m in network.modules() if isinstance(m, nn.AdaptiveAvgPool2d))
    pool.register_forward_hook(lambda _, inputs, __: maps.append(inputs[0].shape[-2:]))
    network(torch.randn(2, 3, 5, 5))
    assert maps == [(2, 2)]
    with pytest.raises(InputError, match="4x5 pixels are too small"):
        space.build(genotype, (3, 4, 5), 2, **sizes)


@pytest.mark.parametrize(
    ("space", "macro", "message"),
    [
        (DARTS, {"cells": 2}, "cells must be an integer of at least 3, got 2"),
        (DARTS, {"channels": 1.5}, "channels"),
        (DARTS, {"auxiliary": "yes"}, "auxiliary must be true or false"),
        (DARTS, {"width": 3}, "possible: cells, channels, auxiliary"),
        (NB201, {"cells": 0}, "cells"),
        (NB201, {"channels": True}, "channels"),
    ],
)
def test_impossible_macros_are_refused(
    space: SearchSpace[Any], macro: dict[str, Any], message: str
) -> None:
    genotype = space.sample(np.random.default_rng(0))
    for make in (space.build, space.cost):
        with pytest.raises(InputError, match=message):
            make(genotype, (3, 32, 32), 10, **macro)


@pytest.mark.parametrize("side", [5, 6, 7, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_all_operations_agree_on_the_shape(side: int, stride: int) -> None:
    for name, make in MAKERS.items():
        if make is not None:
            output = make(4, stride)(torch.randn(2, 4, side, side + 1))
            expected = [-(-length // stride) for length in (side, side + 1)]
            assert list(output.shape) == [2, 4, *expected], name


def test_factorized_reduction_reads_even_and_odd_pixels() -> None:
    for side in (4, 5):
        module = FactorizedReduce(2, 5).double().eval()
        x = torch.randn(1, 2, side, side, dtype=torch.float64)
        padded = functional.pad(x.relu(), (0, 1, 0, 1))
        halves = [
            torch.einsum("oc,nchw->nohw", module.even.weight[..., 0, 0], x.relu()[..., ::2, ::2]),
            torch.einsum("oc,nchw->nohw", module.odd.weight[..., 0, 0], padded[..., 1::2, 1::2]),
        ]
        expected = torch.cat(halves, 1) / (1 + 1e-5) ** 0.5
        assert torch.allclose(module(x), expected)


def test_residual_block_pools_its_shortcut() -> None:
    for side in (4, 5):
        block = ResidualBlock(2, 3).double().eval()
        x = torch.randn(2, 2, side, side, dtype=torch.float64)
        rest = block(x) - block.second(block.first(x))
        corner = dict(block.named_parameters())["shortcut.1.weight"][..., 0, 0] @ x[
            0, :, :2, :2
        ].mean((1, 2))
        assert torch.allclose(rest[0, :, 0, 0], corner)


def test_nasbench201_cell_is_the_sum_over_its_edges() -> None:
    ops = ("nor_conv_3x3", "avg_pool_3x3", "skip_connect", "nor_conv_1x1", "none", "nor_conv_3x3")
    cell = Nasbench201Cell(ops, 2).double()
    part = dict(cell.named_children())
    assert list(part) == [
        "node1_from0_nor_conv_3x3",
        "node2_from0_avg_pool_3x3",
        "node2_from1_skip_connect",
        "node3_from0_nor_conv_1x1",
        "node3_from2_nor_conv_3x3",
    ]
    x = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    one = part["node1_from0_nor_conv_3x3"](x)
    ones = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    sums = functional.conv2d(x.flatten(0, 1)[:, None], ones, padding=1)
    counts = functional.conv2d(torch.ones(1, 1, 5, 5, dtype=torch.float64), ones, padding=1)
    two = (sums / counts).reshape(x.shape) + one
    expected = part["node3_from0_nor_conv_1x1"](x) + part["node3_from2_nor_conv_3x3"](two)
    assert torch.allclose(cell(x), expected)


def test_darts_cell_adds_two_edges_per_node_and_concatenates() -> None:
    network = DARTS.build(PUBLISHED["DARTS_V2"], (3, 8, 8), 4, cells=3, channels=2).double()
    cell = network.get_submodule("cells.1")
    assert isinstance(cell, DartsCell)
    first = torch.randn(2, 6, 8, 8, dtype=torch.float64)
    second = torch.randn(2, 8, 8, 8, dtype=torch.float64)
    a, b = cell.preprocess0(first), cell.preprocess1(second)
    skip = cell.get_submodule("node3_slot0_skip_connect")
    assert isinstance(skip, nn.Identity)  # from node 2: stride 1

    def pool(x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(x, 3, 2, 1)

    two = pool(a) + pool(b)
    three, four, five = two + pool(b), pool(a) + two, two + pool(b)
    assert torch.allclose(cell(first, second), torch.cat([two, three, four, five], 1))


def test_published_separable_convolutions_are_applied_twice_and_dilated_ones_once() -> None:
    for name, kernel, times in (
        ("sep_conv_3x3", 3, 2),
        ("sep_conv_5x5", 5, 2),
        ("dil_conv_3x3", 3, 1),
        ("dil_conv_5x5", 5, 1),
    ):
        make = MAKERS[name]
        assert make is not None
        expected = times * (8 * kernel**2 + 8 * 8 + 2 * 8)
        assert sum(p.numel() for p in make(8, 1).parameters()) == expected


def test_networks_materialize_from_the_meta_device() -> None:
    for space in SPACES_UNDER_TEST:
        genotype = space.sample(np.random.default_rng(3))
        with torch.device("meta"):
            network = space.build(genotype, (3, 8, 8), 4, cells=3, channels=2)
        network = network.to_empty(device="cpu")
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                module.reset_parameters()
        logits = network(torch.randn(2, 3, 8, 8))
        assert torch.isfinite(logits).all()


def test_no_activation_is_overwritten_in_place() -> None:
    for space in SPACES_UNDER_TEST:
        genotype = space.sample(np.random.default_rng(1))
        macro = {"auxiliary": True} if space is DARTS else {}
        network = space.build(genotype, (3, 32, 32), 4, cells=3, channels=2, **macro)
        relus = [m for m in network.modules() if isinstance(m, nn.ReLU)]
        assert relus
        assert not any(relu.inplace for relu in relus)


def test_nodes_without_edges_are_zero() -> None:
    nothing = Genotype((("none", 0), ("none", 1)) * 4, (2, 3), (("none", 0),) * 8, (4,))
    network = DARTS.build(nothing, (3, 9, 9), 4, cells=4, channels=2)
    assert network(torch.randn(2, 3, 9, 9)).shape == (2, 4)
    cell = Nasbench201Cell(Nasbench201Genotype(("none",) * 6).operations, 2)
    assert torch.equal(cell(torch.randn(2, 2, 5, 5)), torch.zeros(2, 2, 5, 5))


def test_counting_leaves_no_hooks() -> None:
    layer = nn.Conv2d(2, 4, 3, groups=2)
    assert count(layer, (2, 5, 6)) == Cost(4 * 9 + 4, 4 * 3 * 4 * 9)
    assert not layer._forward_hooks
