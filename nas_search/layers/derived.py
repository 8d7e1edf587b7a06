"""Tensors that a network makes of its parameters, and the way back from their gradients.

A standardized or masked weight, a table of positions that is cut to size, a query projection that
is a slice of a larger weight: the layer sees a tensor that is a function of parameters. Its
per-sample gradients become those of the parameters by that function's own backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def sources(tensor: Tensor) -> list[Tensor]:
    """Return the leaves that require gradient and that ``tensor`` is made of; itself if a leaf."""
    if tensor.grad_fn is None:
        return [tensor] if tensor.requires_grad else []
    found: dict[int, Tensor] = {}
    seen: set[Any] = set()
    waiting = [tensor.grad_fn]
    while waiting:
        node: Any = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found[id(node.variable)] = node.variable
        waiting += [before for before, _ in node.next_functions if before is not None]
    return list(found.values())


def matrices(tensor: Tensor) -> list[Tensor]:
    """Return those of :func:`sources` with at least two dimensions of more than one element.

    Of a tensor that is made of smaller parameters alone, all of them.
    """
    leaves = sources(tensor)
    wide = [leaf for leaf in leaves if sum(size > 1 for size in leaf.shape) > 1]
    return wide or leaves


def gradients_of_rows(
    tensor: Tensor, error: Tensor, axis: int, samples: int
) -> dict[Tensor, Tensor]:
    """Return each sample's gradient with respect to what a tensor with rows per sample is made of.

    Args:
        tensor: a parameter, or made of parameters, with its graph.
        error: gradient with respect to it, of its shape.
        axis: where the samples lie, the rows of each one after another.
        samples: their number m.

    Returns:
        (m, P) by parameter, in the order of :func:`sources`.
    """
    leaves = sources(tensor)
    rows = error.shape[axis] // samples
    found: dict[Tensor, list[Tensor]] = {leaf: [] for leaf in leaves}
    for number in range(samples):
        own = torch.zeros_like(error)
        place = (slice(None),) * axis + (slice(number * rows, (number + 1) * rows),)
        own[place] = error[place]
        each = torch.autograd.grad(tensor, leaves, own, retain_graph=True, allow_unused=True)
        for leaf, gradient in zip(leaves, each, strict=True):
            found[leaf].append(
                leaf.new_zeros(leaf.numel()) if gradient is None else gradient.flatten()
            )
    return {leaf: torch.stack(own) for leaf, own in found.items()}


def pulled_back(tensor: Tensor, rows: Tensor) -> dict[Tensor, Tensor]:
    """Return the gradients with respect to the parameters that ``tensor`` is made of.

    Args:
        tensor: made of parameters, with its graph.
        rows: (m, tensor.numel()) gradients with respect to it.

    Returns:
        (m, P) by parameter, in the order of :func:`sources`.
    """
    leaves = sources(tensor)
    errors = rows.reshape(-1, *tensor.shape).to(tensor.dtype)
    found: tuple[Tensor | None, ...]
    with torch.enable_grad():
        try:
            found = torch.autograd.grad(
                tensor,
                leaves,
                errors,
                retain_graph=True,
                allow_unused=True,
                is_grads_batched=True,
            )
        except RuntimeError:  # an operation that cannot be batched: one row after the other
            each = [
                torch.autograd.grad(tensor, leaves, error, retain_graph=True, allow_unused=True)
                for error in errors
            ]
            found = tuple(_stacked(column) for column in zip(*each, strict=True))
    return {
        leaf: rows.new_zeros(len(rows), leaf.numel()) if grad is None else grad.flatten(1)
        for leaf, grad in zip(leaves, found, strict=True)
    }


def _stacked(column: tuple[Tensor | None, ...]) -> Tensor | None:
    rows = [row for row in column if row is not None]
    return torch.stack(rows) if rows else None
