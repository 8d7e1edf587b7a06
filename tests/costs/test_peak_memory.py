"""Peak memory: against chains whose peak is known, and against all orders of small graphs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

import nas_search.costs.peak_memory as module
from nas_search.costs import At
from nas_search.costs.peak_memory import IN_PLACE, peak_elements, peak_memory
from nas_search.costs.trace import Step, Trace, trace
from nas_search.spaces import SPACES
from tests.costs.test_counts import SMALL


class Branches(nn.Module):
    """Two branches of one input; the wide one first as it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(1, 8, 1)
        self.narrow = nn.Conv2d(8, 1, 1)
        self.other = nn.Conv2d(1, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        wide, other = self.wide(x), self.other(x)
        return torch.cat([self.narrow(wide), other], dim=1)


def traced(network: nn.Module, shape: tuple[int, int, int]) -> Trace:
    return trace(network.to("meta"), shape)


def test_a_chain_needs_input_and_output_of_its_widest_layer() -> None:
    chain = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1)
    )
    # 3 and 8 channels, then 8 and 2; batch-norm and ReLU write over their inputs.
    assert peak_elements(traced(chain, (3, 4, 4))) == (3 + 8) * 16


def test_relu_of_what_is_read_again_needs_a_buffer_of_its_own() -> None:
    class Residual(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.relu(x)

    assert peak_elements(traced(Residual(), (1, 4, 4))) == 2 * 16


def test_views_are_not_copies() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    assert peak_elements(traced(network, (1, 4, 4))) == 16 + 2


def test_the_order_in_which_a_branch_ends_first_is_found() -> None:
    # As called, 1 + 8 + 4 live at once; with the wide branch ended first 1 + 8 + 1.
    assert peak_elements(traced(Branches(), (1, 1, 1))) == 10


def exact(graph: Trace) -> int:
    """Return the least peak over all orders, by the definition alone."""
    peaks = []
    made = {number for step in graph.steps for number in step.writes}
    for order in itertools.permutations(range(len(graph.steps))):
        done: set[int] = {n for n in range(len(graph.sizes)) if n not in made}
        peak = sum(graph.sizes[n] for n in done)
        live = set(done)
        for position, index in enumerate(order):
            step = graph.steps[index]
            if not set(step.reads) <= done:
                break
            later = {n for i in order[position + 1 :] for n in graph.steps[i].reads}
            later |= set(graph.outputs)
            dying = {n for n in step.reads if n not in later}
            sizes = [graph.sizes[n] for n in dying]
            made_here = sum(graph.sizes[n] for n in step.writes)
            reused = made_here if step.name in IN_PLACE and made_here in sizes else 0
            peak = max(peak, sum(graph.sizes[n] for n in live) + made_here - reused)
            done |= set(step.writes)
            live = (live - dying) | {n for n in step.writes if n in later}
        else:
            peaks.append(peak)
    return min(peaks)


@st.composite
def graphs(draw: st.DrawFn) -> Trace:
    count = draw(st.integers(1, 5))
    sizes = draw(st.lists(st.integers(1, 6), min_size=count + 1, max_size=count + 1))
    steps = []
    for number in range(1, count + 1):
        reads = draw(st.sets(st.integers(0, number - 1), min_size=1, max_size=3))
        name = draw(st.sampled_from(["conv2d", "relu"]))
        steps.append(Step(name, "", tuple(sorted(reads)), (number,), 0, 0))
    return Trace(tuple(steps), tuple(sizes), (count,))


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_what_is_found_is_possible_and_near_the_best_of_all_orders(graph: Trace) -> None:
    best = exact(graph)
    assert module._at_least(module._plan_of_trace(graph)) <= best
    assert best <= peak_elements(graph) <= 2 * best


@pytest.fixture
def in_call_order(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let operations run in the network's own order alone."""

    def forget() -> None:
        module._segment_peak.cache_clear()
        module._part_needs.cache_clear()

    forget()
    monkeypatch.setattr(module, "ORDERS", (module._first,))
    yield
    forget()


@pytest.mark.parametrize("name", ["darts", "nasbench101", "nasbench201"])
@pytest.mark.usefixtures("in_call_order")
def test_the_wiring_of_cells_is_that_of_the_built_network(name: str) -> None:
    space, macro, shape = SPACES.get(name).space(), SMALL[name], (3, 9, 11)
    at = At(shape, 7, macro)
    for seed in range(4):
        genotype = space.sample(np.random.default_rng(seed))
        with torch.device("meta"):
            network = space.build(genotype, shape, 7, **macro)
        assert 4 * peak_elements(trace(network, shape)) == peak_memory(space, genotype, at)


@pytest.mark.parametrize("cell", ["3_10_113", "1_23_310", "2_31_233"])
@pytest.mark.usefixtures("in_call_order")
def test_the_wiring_of_transnas_cells_is_that_of_the_built_network(cell: str) -> None:
    # Of cells whose nodes all have an input: zeros are counted a little otherwise.
    space, macro, shape = SPACES.get("transnas_micro").space(), SMALL["transnas_micro"], (3, 9, 11)
    genotype = space.parse(f"64-41414-{cell}")
    with torch.device("meta"):
        network = space.build(genotype, shape, 7, **macro)
    whole = 4 * peak_elements(trace(network, shape))
    assert whole == peak_memory(space, genotype, At(shape, 7, macro))


def test_int8_takes_a_quarter_of_the_memory() -> None:
    space = SPACES.get("nasbench201").space()
    genotype = space.sample(np.random.default_rng(0))
    sizes = [peak_memory(space, genotype, At((3, 32, 32), 10, {}, t)) for t in ("float32", "int8")]
    assert sizes == [262144, 65536]
