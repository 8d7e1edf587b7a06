"""Steps recorded as a graph, with a stand-in for the recording: there is no GPU here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nas_search.training.graph import WARM_UP, GraphedStep
from nas_search.training.loop import Training
from nas_search.training.on_device import decided
from nas_search.training.recipe import Augmentation, Optimizer, Recipe
from tests.training.made import recipe, stripes_data, training
from tests.training.test_loop import quiet, same, weights

HOW = recipe(
    epochs=3,
    batch_size=8,
    augmentation=Augmentation(crop=1, flip=True, cutout=2),
    drop_path=0.3,
    ema=0.9,
    optimizer=Optimizer(lr=0.05, clip=0.5),
)


def recorded(made: Training, record: Callable[..., Callable[[], None]]) -> list[str]:
    """Let ``made`` train by graphs that ``record`` makes; return what it will say."""
    said: list[str] = []
    parameters = list(made._network.parameters())
    made._graph = GraphedStep(made._gradients, parameters, said.append, record)
    return said


def test_recorded_steps_are_the_eager_ones_to_the_last_bit(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    eager = training(tmp_path / "eager", data, HOW, space="darts")
    assert eager._graph is None  # a CPU
    eager.run(3, quiet)
    made, replays = training(tmp_path / "graph", data, HOW, space="darts"), 0

    def record(run: Callable[[], None]) -> Callable[[], None]:
        def replay() -> None:
            nonlocal replays
            replays += 1
            run()

        return replay

    said = recorded(made, record)
    made.run(3, quiet)
    # 39 images in batches of 8: four whole ones in an epoch, and one of seven images.
    assert len(made._train) == 39
    assert replays == 3 * 4 - WARM_UP
    assert not said
    assert [e.loss for e in made.log] == [e.loss for e in eager.log]
    assert same(weights(made.result()), weights(eager.result()))


def test_gradients_are_those_of_the_recording_after_an_eager_batch() -> None:
    # A graph writes where it wrote when it was recorded, whatever .grad is by now.
    weight = nn.Parameter(torch.ones(2))
    kept = torch.zeros(2)

    def work(x: Tensor) -> Tensor:
        weight.grad = None
        (weight * x.mean()).sum().backward()
        return torch.zeros(3)

    def record(run: Callable[[], None]) -> Callable[[], None]:
        weight.grad = kept  # a capture makes the gradients and computes nothing

        def replay() -> None:
            kept.fill_(7.0)

        return replay

    step = GraphedStep(work, [weight], pytest.fail, record)
    for _ in range(WARM_UP):
        step(torch.ones(4))
    step(torch.ones(4))
    assert weight.grad is kept and kept.tolist() == [7, 7]
    step(torch.full((3,), 2.0))  # a smaller batch: eager
    assert weight.grad is not kept and weight.grad.tolist() == [2, 2]
    kept.zero_()
    step(torch.ones(4))
    assert weight.grad is kept and kept.tolist() == [7, 7]


def test_a_recording_that_fails_is_said_once_and_nothing_is_lost(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    eager = training(tmp_path / "eager", data, HOW)
    eager.run(2, quiet)
    made = training(tmp_path / "graph", data, HOW)

    def refuse(run: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    said = recorded(made, refuse)
    made.run(2, quiet)
    assert said == [
        "no CUDA graph of the training steps (operation not permitted when stream is capturing); "
        "they run one operation after another, which is slower (recipe.cuda_graph=false says "
        "nothing)"
    ]
    assert same(weights(made.result()), weights(eager.result()))


def test_memory_that_ends_halves_the_batch_and_frees_the_graph(tmp_path: Path) -> None:
    made = training(tmp_path / "t", stripes_data(tmp_path), HOW)
    calls = 0

    def record(run: Callable[[], None]) -> Callable[[], None]:
        def replay() -> None:
            nonlocal calls
            calls += 1
            raise torch.OutOfMemoryError("no more")

        return replay

    recorded(made, record)
    made.run(1, quiet)
    assert calls == 1
    assert made.micro_batch == 4
    assert made._graph is not None and made._graph.broken


def test_averages_of_all_weights_at_once_are_those_of_each(tmp_path: Path) -> None:
    how = dataclasses.replace(HOW, drop_path=0.0)
    made = training(tmp_path / "a", stripes_data(tmp_path), how)
    steps = 0

    def each(average: Tensor, value: Tensor, _: object) -> Tensor:
        if not average.is_floating_point():
            return value
        return torch.lerp(average, value, 1 - min(0.9, (1 + steps) / (10 + steps)))

    naive = AveragedModel(made._network, avg_fn=each, use_buffers=True)
    step = made._step

    def both(raw: Tensor, labels: Tensor) -> Tensor:
        nonlocal steps
        sums = step(raw, labels)
        naive.update_parameters(made._network)
        steps += 1
        return sums

    made._step = both  # type: ignore[method-assign]
    made.run(1, quiet)
    assert made._average is not None
    found = dict(made._average.module.named_parameters())
    assert all(torch.equal(found[n], p) for n, p in naive.module.named_parameters())
    assert not same(weights(made._network), weights(made._average.module))


@pytest.mark.parametrize(
    ("given", "capability", "expected"),
    [
        ({"precision": "auto"}, None, ("fp32", True, False)),
        ({"precision": "auto"}, (9, 0), ("bf16", True, True)),
        ({"precision": "auto"}, (7, 5), ("fp32", False, True)),
        ({}, (9, 0), ("fp32", False, True)),
        ({"channels_last": False}, None, ("fp32", False, False)),
        ({"precision": "bf16", "cuda_graph": False}, (8, 0), ("bf16", True, False)),
        ({"compile": True}, (9, 0), ("fp32", False, False)),
        ({"precision": "fp32", "channels_last": True}, (9, 0), ("fp32", True, True)),
    ],
)
def test_what_a_recipe_leaves_to_the_device(
    given: dict[str, object], capability: tuple[int, int] | None, expected: tuple[object, ...]
) -> None:
    how = decided(Recipe("made", 1, 2, **given), capability)  # type: ignore[arg-type]
    assert (how.precision, how.channels_last, how.cuda_graph) == expected
    assert decided(how, capability) == how


def test_a_graph_is_no_part_of_what_defines_a_training() -> None:
    assert repr(recipe(cuda_graph=True)) == repr(recipe()) and recipe(cuda_graph=True) == recipe()
