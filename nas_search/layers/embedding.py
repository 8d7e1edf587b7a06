"""Embeddings: tables of which each token picks a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.layers.changeable import changeable
from nas_search.layers.initial_weights import Distribution, Scheme
from nas_search.layers.recorder import Recorder, Recording, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.layers.sample_gradient import DenseGradient


@dataclass(frozen=True)
class TableGradient:
    """The gradient of a table: row ``tokens[i, t]`` of sample i's receives ``errors[i, t]``.

    Attributes:
        tokens: (m, T) numbers of rows.
        errors: (m, T, d) gradients with respect to what was picked.
        rows: number V of rows of the table.
    """

    tokens: Tensor
    errors: Tensor
    rows: int
    factors: None = None

    def by_sample(self, samples: int) -> TableGradient:
        """Return the gradient with the rows of each of ``samples`` samples summed up."""
        tokens = self.tokens.reshape(samples, -1)
        errors = self.errors.reshape(samples, -1, self.errors.shape[-1])
        return TableGradient(tokens, errors, self.rows)

    def matrix(self) -> Tensor:
        """Return the (m, V d) rows."""
        samples, width = len(self.tokens), self.errors.shape[-1]
        first = torch.arange(samples, device=self.tokens.device) * self.rows
        places = (self.tokens + first[:, None]).flatten()
        table = self.errors.new_zeros(samples * self.rows, width)
        return table.index_add_(0, places, self.errors.flatten(0, 1)).view(samples, -1)

    def grams(self, candidates: int) -> Tensor:
        """Return each candidate's Gram matrix, (k, n, n); rows that no token picks are left out."""
        picked, tokens = self.tokens.unique(return_inverse=True)
        small = TableGradient(tokens, self.errors, len(picked))
        return DenseGradient(small.matrix()).grams(candidates)

    def sums(self, candidates: int, weights: Tensor | None = None) -> Tensor:
        """Return each candidate's sum of its rows, (k, V d)."""
        return DenseGradient(self.matrix()).sums(candidates, weights)

    def square_sums(self, candidates: int) -> Tensor:
        """Return each candidate's sum of the squares of its rows, (k,)."""
        return self.grams(candidates).diagonal(dim1=1, dim2=2).sum(1)


@dataclass(frozen=True)
class StandardNormalTable:
    """N(0, 1), but for a row of zeros."""

    zero_row: int | None

    def fill(self, values: Tensor, generator: torch.Generator) -> None:
        """Fill ``values`` in place."""
        values.normal_(generator=generator)
        if self.zero_row is not None:
            values[self.zero_row] = 0


def arguments(module: nn.Embedding) -> dict[str, Any] | None:
    """Return what ``module`` passes to ``F.embedding``; None where it does more than pick rows."""
    if module.max_norm is not None or module.scale_grad_by_freq:
        return None
    return {"weight": module.weight, "padding_idx": module.padding_idx}


def per_sample(
    recorder: Recorder,
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Return ``F.embedding`` of ``input`` (m, ...) int.

    Raises:
        InputError: with ``max_norm`` or ``scale_grad_by_freq``, by which tokens of one sample
            change what others receive.
    """
    if max_norm is not None or scale_grad_by_freq:
        raise InputError(
            f"embedding '{recorder.layer}' is used with max_norm or scale_grad_by_freq, which no "
            "layer rule knows"
        )
    recorder.rows_per_sample(input)
    use = recorder.used(weight)
    if use is None:
        return F.embedding(input, weight.detach())
    y: Tensor = _Embedding.apply(input, weight, _row(weight, padding_idx), use, recorder)
    return y


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        tokens: Tensor,
        weight: Tensor,
        padding: int | None,
        use: Recording,
        recorder: Recorder,
    ) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.padding, ctx.use, ctx.recorder, ctx.rows = padding, use, recorder, len(weight)
        return changeable(F.embedding(tokens, weight))

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[None, ...]:
        (error,) = errors
        (tokens,) = ctx.saved_tensors
        if ctx.padding is not None:
            error = error.masked_fill((tokens == ctx.padding)[..., None], 0)
        width = error.shape[-1]
        gradient = TableGradient(
            tokens.reshape(len(tokens), -1), error.reshape(len(tokens), -1, width), ctx.rows
        )
        ctx.recorder.add(ctx.use, gradient)
        return None, None, None, None, None


def stacked(
    stack: Stack,
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    *_: Any,
    **__: Any,
) -> Tensor:
    """Return what the tokens pick of the tables (k, V, d) of k candidates."""
    candidates, rows = weight.shape[:2]
    padding = _row(weight[0], padding_idx)
    if padding is not None:
        constant = torch.arange(rows, device=weight.device) == padding
        weight = torch.where(constant[:, None], weight.detach(), weight)
    first = torch.arange(candidates, device=input.device) * rows
    tokens = input.unflatten(0, (candidates, -1)) + first.view(-1, *(1,) * input.dim())
    return F.embedding(tokens.flatten(0, 1), weight.flatten(0, 1))


def _row(table: Tensor, number: int | None) -> int | None:
    return None if number is None else number % len(table)


def initial_weights(module: nn.Embedding, scheme: Scheme) -> dict[str, Distribution]:
    """Return N(0, 1), torch's own, in every scheme: nothing is summed over rows of a table."""
    return {"weight": StandardNormalTable(module.padding_idx)}


def saved(output: Tensor, input: Tensor, *_: Any, **__: Any) -> int:
    """Return the number of tokens."""
    return input.numel()


LAYERS.add(
    LayerRule(
        name="embedding",
        kinds=(nn.Embedding,),
        functions=(F.embedding,),
        positionwise=True,
        arguments=arguments,
        per_sample=per_sample,
        stacked=stacked,
        initial_weights=initial_weights,
        saved=saved,
    )
)
