"""NASWOT and SWAP against loops over units."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nas_search
from nas_search.passes.activations import CodeAgreement, PatternCount
from nas_search.scoring import DeadNetwork, Measuring, measure
from nas_search.testing.proxies import small_network
from tests.proxies.naive import CELLS, SPACE, batch, build, score


def codes(network: nn.Module, images: Tensor) -> tuple[list[np.ndarray], list[bool]]:
    """Return the (n, units) on/off states of every ReLU, and whether backward reaches it."""
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(keep)
    network(images.clone().requires_grad_()).sum().backward()
    return [(o.detach().flatten(1) > 0).numpy() for o in seen], [o.grad is not None for o in seen]


@pytest.mark.parametrize("number", range(len(CELLS)))
@pytest.mark.parametrize("n", [2, 5, 70])
def test_naswot_and_swap_equal_loops_over_units(number: int, n: int) -> None:
    on, reached = codes(build(number), batch(n)[0])
    if number == 0:
        assert len(reached) > 4
    kernel = np.zeros((n, n))
    for some, used in zip(on, reached, strict=True):
        for i in range(n):
            for j in range(n):
                kernel[i, j] += used * np.sum(some[i] == some[j])
    expected = np.linalg.slogdet(kernel)[1]
    assert score("naswot", number, n) == pytest.approx(expected, rel=1e-9)
    columns = {tuple(column) for some in on for column in some.T}
    assert score("swap", number, n) == len(columns)


def test_relu_in_a_dead_branch_does_not_count() -> None:
    # Node 2 has no way to the output: its convolution's ReLU is run for nothing.
    cell = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|nor_conv_1x1~0|none~1|none~2|"
    whole = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"
    images, labels = batch()
    units = []
    for text in (cell, whole):
        network = SPACE.build(SPACE.parse(text), (3, 8, 8), 3, cells=1, channels=4).double()
        seen = measure(network, images, labels, Measuring("batch"), [CodeAgreement, PatternCount])
        units.append(seen[CodeAgreement].units)
        assert seen[CodeAgreement].kernel.diagonal().tolist() == [units[-1]] * len(images)
    assert units[0] == units[1]


def test_results_do_not_depend_on_the_other_kinds_measured() -> None:
    network, (images, labels) = small_network(0), batch()
    both = measure(network, images, labels, kinds=[PatternCount, CodeAgreement])
    alone = measure(network, images, labels, kinds=[CodeAgreement])
    assert torch.equal(both[CodeAgreement].kernel, alone[CodeAgreement].kernel)
    with pytest.raises(KeyError, match="PatternCount was not measured"):
        alone[PatternCount]


def test_dead_networks_have_no_score() -> None:
    network = small_network(0)
    nn.init.zeros_(network.get_parameter("head.3.weight"))
    for kind in (CodeAgreement, PatternCount):
        with pytest.raises(DeadNetwork, match="do not depend"):
            measure(network, *batch(), kinds=[kind])


@pytest.mark.parametrize("name", ["naswot", "swap"])
def test_units_of_relu6_are_on_where_those_of_relu_are(name: str) -> None:
    values = []
    for kind in (nn.ReLU, nn.ReLU6):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 6, 3), kind(), nn.Flatten(), nn.Linear(216, 4))
        images = 9 * torch.randn(8, 3, 8, 8)  # many units are above 6
        values.append(nas_search.score(network, images, torch.arange(8) % 4, [name])[name])
    assert values[0] == values[1]
