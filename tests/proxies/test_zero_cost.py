"""The pruning criteria and GradSign against ordinary autograd, and that they share one backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nas_search.gradients import NORMALIZATIONS
from nas_search.proxies import PROXIES
from nas_search.testing.gradients import gradients_by_loop
from tests.proxies.naive import CELLS, backward, batch, build, layers, score, weights_and_gradients
from tests.scoring.problem import task

CELL_NUMBERS = range(len(CELLS))


@pytest.mark.parametrize("number", CELL_NUMBERS)
def test_gradsign_equals_counts_sample_by_sample(number: int) -> None:
    network = build(number)
    images, labels = batch()
    rows = {
        k: r
        for k, r in gradients_by_loop(network, images, labels, "sample").items()
        if "weight" in k
    }
    names = {f"{k}.weight" for k, m in network.named_modules() if m in layers(network)}
    total, count = 0, 0
    for name in names & set(rows):
        signs = np.sign(rows[name].numpy())
        signs[np.abs(rows[name].numpy()) < 1e-14] = 0
        if not signs.any():
            continue  # nothing but rounding: the weight receives no gradient
        total += np.abs(signs.sum(0)).sum()
        count += signs.shape[1]
    assert score("gradsign", number) == pytest.approx(total, rel=1e-12)
    assert score("gradsign_mean", number) == pytest.approx(total / count, rel=1e-12)


@pytest.mark.parametrize("number", CELL_NUMBERS)
def test_first_order_criteria_equal_those_of_an_ordinary_backward_pass(number: int) -> None:
    network = build(number)
    backward(network, *batch())
    seen = weights_and_gradients(network)
    expected = {
        "snip": sum((w * g).abs().sum().item() for w, g in seen),
        "plain": sum((w * g).sum().item() for w, g in seen),
        "grad_norm": sum(g.square().sum().sqrt().item() for _, g in seen),
        "l2_norm": sum(m.weight.square().sum().sqrt().item() for m in layers(network)),
    }
    for name, value in expected.items():
        assert score(name, number) == pytest.approx(value, rel=1e-9, abs=1e-13), name


@pytest.mark.parametrize("number", CELL_NUMBERS)
def test_fisher_counts_a_channel_once_per_weight(number: int) -> None:
    network = build(number)
    images, labels = batch()
    outputs: list[Any] = []

    def keep(module: Any, inputs: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        outputs.append((output, module.weight[0].numel()))

    for layer in layers(network):
        layer.register_forward_hook(keep)
    backward(network, images, labels)
    total = 0.0
    for a, weights in outputs:
        if a.grad is None:
            continue
        for channel in range(a.shape[1]):
            per_image = [(a[i, channel] * a.grad[i, channel]).sum().item() for i in range(len(a))]
            total += weights * 0.5 * np.mean(np.square(per_image))
    assert score("fisher", number) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("number", CELL_NUMBERS)
def test_grasp_is_the_hessian_times_the_gradient(number: int) -> None:
    # H g as the difference of two gradients a small step along g apart.
    network = build(number)
    images, labels = batch()
    backward(network, images, labels)
    seen = [w for w, _ in weights_and_gradients(network)]
    gradient = [g.clone() for _, g in weights_and_gradients(network)]
    weights = [w.detach().clone() for w in seen]
    ends = []
    step = 1e-8  # so small that no ReLU switches in between
    for side in (1, -1):
        with torch.no_grad():
            for w, start, g in zip(seen, weights, gradient, strict=True):
                w.copy_(start + side * step * g)
        backward(network, images, labels)
        ends.append([g.clone() for _, g in weights_and_gradients(network)])
    expected = -sum(
        (w * (up - down) / (2 * step)).sum().item()
        for w, up, down in zip(weights, *ends, strict=True)
    )
    assert score("grasp", number) == pytest.approx(expected, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_batch_gradient_is_the_mean_over_samples_in_every_mode(mode: str) -> None:
    network = build()
    images, labels = batch()
    if mode == "batch":
        backward(network, images, labels)
        gradients = [g for _, g in weights_and_gradients(network)]
    else:
        rows = gradients_by_loop(network, images, labels, mode)
        names = [f"{k}.weight" for k, m in network.named_modules() if m in layers(network)]
        gradients = [rows[name].mean(0) for name in names if name in rows]
    expected = sum(g.norm().item() for g in gradients)
    assert score("grad_norm", normalization=mode) == pytest.approx(expected, rel=1e-9)


def test_scores_that_need_gradients_share_one_backward_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [
        *("gradalign", "gradalign_i", "gradalign_ii", "gradalign_i_layerwise"),
        *("gradalign_ii_layerwise", "gradsign", "gradsign_mean", "snip", "plain"),
        *("grad_norm", "fisher", "l2_norm", "params", "flops", "random"),
    ]
    for statistics in (None, "batch"):  # the check of such networks takes passes of its own, once
        task(proxies=tuple(names), normalization=statistics).evaluate(CELLS[0])
    calls = []
    real: Callable[..., None] = torch.Tensor.backward

    def counted(self: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        calls.append(1)
        real(self, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "backward", counted)
    shared = task(proxies=tuple(names), normalization="batch").evaluate(CELLS[0]).scores
    assert len(calls) == 1
    own = task(proxies=tuple(names)).evaluate(CELLS[0]).scores
    assert len(calls) == 1 + 3  # the definitions ask for sample, frozen and batch statistics
    assert list(own) == list(shared) == names
    for name in names:  # together or alone: the same number
        alone = task(proxies=(name,)).evaluate(CELLS[0]).scores[name]
        assert own[name] == pytest.approx(alone, rel=1e-12), name
    assert own["snip"] == shared["snip"]
    assert own["gradsign"] != shared["gradsign"]


def test_every_record_lists_the_results_it_needs() -> None:
    for record in PROXIES:
        assert score(record.name) == score(record.name)


def test_gradients_are_those_of_the_mean_loss() -> None:
    network = build()
    images, labels = batch()
    loss = F.cross_entropy(network(images), labels)
    (g,) = torch.autograd.grad(loss, [layers(network)[-1].weight])
    assert score("grad_norm") > g.norm().item() > 0
