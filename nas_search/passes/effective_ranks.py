"""The pass of effective ranks: how many directions the outputs of each layer really have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules import activation

from nas_search.gradients import normalized_network
from nas_search.passes.base import PASSES, Outcome, Pass, Subject
from nas_search.passes.dead import where_alive
from nas_search.passes.hooks import hooked
from nas_search.passes.maps import map_dimensions
from nas_search.stacked.candidates import candidates_of

_ACTIVATIONS = tuple(getattr(activation, name) for name in activation.__all__)


@dataclass(frozen=True)
class EffectiveRanks:
    """The effective rank (Roy and Vetterli 2007) of what each layer and each activation gives.

    Attributes:
        ranks: exp of the entropy of the normalized singular values, 0 where all values are zero; of
            the first output of every module that has a weight or is an activation function. Rows
            are samples and positions, columns are channels; where there are more rows than columns,
            as many rows as columns are taken from the middle.
    """

    ranks: tuple[float, ...]


def measure_ranks(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Forward the batch and take the effective rank of every layer's output.

    A candidate is dead if its logits are not finite or do not depend on the image.
    """
    candidates, n = candidates_of(subject.network), len(subject.images)
    blocks: list[Tensor] = []
    maps = map_dimensions(subject.network)
    owners: list[int] = []
    seen: set[tuple[int, int]] = set()

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        values = output[0] if isinstance(output, tuple) else output
        if not isinstance(values, Tensor) or values.dim() < 2:
            return
        if len(values) != len(candidates.active) * n:  # of no sample: a table of positions
            return
        own = values.unflatten(0, (len(candidates.active), n))
        if values.dim() in maps:  # places by channels, as the authors have them
            own = own.transpose(2, values.dim())
        own = own.flatten(1, -2)
        rows, columns = own.shape[1:]
        start = max(0, (rows - columns) // 2)
        for owner, block in zip(candidates.active, own[:, start : start + columns], strict=True):
            if (id(module), owner) not in seen:  # of a module that is called again, the first
                seen.add((id(module), owner))
                owners.append(owner)
                blocks.append(block)

    layers = [
        module
        for module in subject.network.modules()
        if hasattr(module, "weight") or isinstance(module, _ACTIVATIONS)
    ]
    hooks = hooked(layer.register_forward_hook(look) for layer in layers)
    with hooks, normalized_network(subject.network, subject.normalization), torch.no_grad():
        logits: Tensor = subject.network(subject.images)
    ranks: list[list[float]] = [[] for _ in range(len(candidates))]
    for owner, rank in zip(owners, effective_ranks(blocks), strict=True):
        ranks[owner].append(rank)
    return where_alive(logits, [[EffectiveRanks(tuple(own))] for own in ranks])


def effective_ranks(matrices: Sequence[Tensor]) -> list[float]:
    """Return the effective rank of each matrix, those of one shape in one call."""
    by_shape: dict[torch.Size, list[int]] = {}
    for number, matrix in enumerate(matrices):
        by_shape.setdefault(matrix.shape, []).append(number)
    ranks = torch.zeros(len(matrices), dtype=torch.float64)
    for numbers in by_shape.values():
        values = torch.linalg.svdvals(torch.stack([matrices[i] for i in numbers]).double())
        shares = values / values.sum(-1, keepdim=True)
        entropies = torch.special.entr(shares).sum(-1)
        ranks[numbers] = entropies.exp().nan_to_num(0.0).cpu()
    found: list[float] = ranks.tolist()
    return found


PASSES.add(
    Pass(
        name="effective_ranks",
        run=measure_ranks,
        provides=(EffectiveRanks,),
        network="complete",
    )
)
