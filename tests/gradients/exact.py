"""Compares per-sample gradients of any network with the loop, to 1e-10 in float64."""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.gradients import Way, per_sample_backward
from nas_search.gradients.objective import Objective
from nas_search.gradients.ways import way_of
from nas_search.testing.gradients import MatrixSink, gradients_by_loop

NEGLIGIBLE = 1e-3
"""Share of the largest gradient below which a smaller one is compared by its absolute error."""


def summed_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="sum")


def assert_exact(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    mode: Any = "eval",
    objective: Objective = summed_cross_entropy,
    weights: set[str] | None = None,
) -> Way:
    """Compare all parameters, and those that count as weights; return the way that was taken.

    Args:
        network: in float64.
        images: (n, ...).
        labels: (n, ...).
        mode: statistics of batch-norm.
        objective: from logits and labels to a sum of losses.
        weights: names of the parameters that count as weights, where the test says them.
    """
    before = snapshot(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        way = way_of(network, images, mode)
        found, of_weights = (
            _found(network, images, labels, mode, objective, parameters)
            for parameters in ("all", "weights")
        )
    assert_untouched(network, before)
    expected = gradients_by_loop(network, images, labels, mode, objective)
    assert any(rows.any() for rows in expected.values()), "nothing to compare"
    _compare(found, expected)
    assert of_weights.keys() <= found.keys()
    _compare(of_weights, {name: expected[name] for name in of_weights})
    if weights is not None:
        assert of_weights.keys() == weights
    return way


def _found(
    network: nn.Module, images: Tensor, labels: Tensor, mode: Any, objective: Any, parameters: Any
) -> dict[str, Tensor]:
    sink = MatrixSink()
    options = {"normalization": mode, "parameters": parameters, "objective": objective}
    per_sample_backward(network, images, labels, [sink], **options)
    return sink.rows


def _compare(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Rows that are missing are zeros; nothing is there that the loop has not."""
    largest = max(rows.norm() for rows in expected.values())
    for name, rows in found.items():
        own = expected.get(name, torch.zeros_like(rows))
        error = (rows - own).norm() / (own.norm() + NEGLIGIBLE * largest)
        assert error <= 1e-10, f"{name}: {error:.1e}"
    for name in expected.keys() - found.keys():
        assert expected[name].norm() <= 1e-12 * largest, f"{name} has no gradient"


def snapshot(network: nn.Module) -> dict[str, Any]:
    """Return everything about ``network`` that has to stay as it is."""
    modules = dict(network.named_modules())
    return {
        "state": {name: value.clone() for name, value in network.state_dict().items()},
        "training": {name: module.training for name, module in modules.items()},
        "forward": {name: vars(module).get("forward") for name, module in modules.items()},
        "inplace": {name: getattr(module, "inplace", None) for name, module in modules.items()},
        "hooks": {
            name: (dict(module._forward_hooks), dict(module._forward_pre_hooks))
            for name, module in modules.items()
        },
        "grad": {
            name: None if p.grad is None else p.grad.clone()
            for name, p in network.named_parameters()
        },
        "requires_grad": {name: p.requires_grad for name, p in network.named_parameters()},
    }


def assert_untouched(network: nn.Module, before: dict[str, Any]) -> None:
    after = snapshot(network)
    for name, value in before["state"].items():
        assert torch.equal(value, after["state"][name]), name
    for name, value in before["grad"].items():
        now = after["grad"][name]
        assert now is None if value is None else torch.equal(value, now), name
    for key in ("training", "forward", "inplace", "hooks", "requires_grad"):
        assert before[key] == after[key], key
