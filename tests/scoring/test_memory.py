"""How many candidates a GPU takes at once, told with devices that are made up."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas_search.scoring import Constraints, Executor, memory
from nas_search.scoring.memory import bytes_of_one, candidates_within, costliest, fitting
from nas_search.scoring.process_workers import handed_over
from tests.scoring.problem import SIZES, task
from tests.stacks import SPACES


def test_what_backward_keeps_grows_with_the_images() -> None:
    problem = task(proxies=("gradalign",))
    assert fitting(problem) == 1  # a CPU
    twice = task(proxies=("gradalign",), images=problem.images.repeat(2, 1, 1, 1))
    twice = replace(twice, labels=problem.labels.repeat(2))
    assert 1.5 < bytes_of_one(twice) / bytes_of_one(problem) < 2.1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    each=st.floats(1e6, 1e9),
    shared=st.floats(0, 1e9),
    total=st.floats(1e8, 2e11),
    sharing=st.integers(1, 4),
)
def test_stacks_fill_a_gpu_and_never_more(
    each: float, shared: float, total: float, sharing: int
) -> None:
    # A device on which a stack of k costly candidates takes shared + k each bytes.
    measured: list[int] = []

    def peak(task: Any, costly: list[Any], count: int) -> float:
        measured.append(count)
        assert len(costly) >= count
        return shared + each * count

    device = type("Properties", (), {"total_memory": total})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "get_device_properties", lambda _: device)
        patch.setattr(memory, "costliest", lambda task: list(range(memory.MANY)))
        patch.setattr(memory, "peak", peak)
        fits = fitting(replace(task(proxies=("gradalign",)), device="cuda"), sharing)
    assert max(measured) <= memory.MANY  # finding out takes no large stack
    room = memory.MEMORY_FRACTION * total / sharing
    assert 1 <= fits <= memory.MAX_CANDIDATES_PER_PASS
    assert fits == 1 or shared + each * fits <= room * (1 + 1e-9)
    if memory.MANY < fits < memory.MAX_CANDIDATES_PER_PASS:  # the next step would be too many
        assert shared + each * (fits + memory.STEP) > room * (1 - 1e-9)


def test_a_gpu_that_ends_at_eight_takes_two() -> None:
    assert candidates_within(1.0, lambda k: math.inf if k == memory.MANY else 0.5) == memory.FEW
    assert candidates_within(1.0, lambda k: math.inf) == 1
    assert candidates_within(100.0, lambda k: 2.0 * k, most=1) == 48  # only one could be measured


def test_memory_is_measured_with_the_costliest_of_one_stack() -> None:
    for space in SPACES.values():
        problem = task(space=space, macro=SIZES[space.name], proxies=("gradalign",))
        costly = costliest(problem)
        assert len(set(costly)) == memory.MANY
        assert len({space.skeleton(one) for one in costly}) == 1
        macs = [problem.cost(one).macs for one in costly]
        assert macs == sorted(macs, reverse=True)
        rng = np.random.default_rng(1)
        random = [problem.cost(space.sample(rng)).macs for _ in range(60)]
        assert macs[0] >= 0.95 * max(random)  # no candidate of a run costs much more
        bound = float(np.median([problem.cost(space.sample(rng)).params for _ in range(15)]))
        bounded = replace(problem, constraints=Constraints({"max_params": bound}))
        assert all(problem.cost(one).params <= bound for one in costliest(bounded))
        nobody = replace(problem, constraints=Constraints({"max_params": 0}))
        assert len(costliest(nobody)) == memory.MANY


@pytest.mark.parametrize("name", ["darts", "nasbench201"])
def test_no_stack_of_a_search_is_halved(name: str) -> None:
    # A device on which a candidate takes bytes in proportion to its cost, and a search for cost:
    # its last generations are all as costly as candidates get.
    space = SPACES[name]
    problem = task(space=space, macro=SIZES[name], proxies=("gradalign",))

    costly = costliest(problem)
    highest = problem.cost(costly[0]).macs

    def taken(stack: list[Any]) -> float:
        return sum((3 * highest, *(0.1 * highest + problem.cost(one).macs for one in stack)))

    total = 60 * highest
    room = memory.MEMORY_FRACTION * total
    fits = candidates_within(room, lambda count: taken(costly[:count]))
    rng = np.random.default_rng(5)
    alive = [space.sample(rng) for _ in range(60)]
    for _ in range(15):
        children = [space.mutate(one, rng) for one in alive]
        alive = sorted({*alive, *children}, key=lambda one: problem.cost(one).macs)[-60:]
    assert 8 < fits <= len(alive)
    assert 0.5 * room < taken(alive[-fits:]) <= total


def test_processes_are_handed_what_fills_a_gpu_whatever_their_number() -> None:
    tasks = (task(proxies=("gradalign",)),)
    assert handed_over(tasks, Executor(), 10_000) == 1  # a CPU
    tasks = (replace(tasks[0], device="cuda"),)
    shares = [handed_over(tasks, Executor(), count) for count in (8, 64, 512, 1024, 15_625)]
    assert shares == [64, 64, 64, 128, 256]
    assert handed_over(tasks, Executor(stack=16), 10_000) == 16
