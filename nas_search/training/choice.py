"""Choose the finalists: the best-scored architectures, skipping near-duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.spaces import SearchSpace


@dataclass(frozen=True)
class FinalistsConfig:
    """How many finalists are trained, and how.

    Attributes:
        k: number of finalists; 0 trains none.
        by: what they are the best by: the search's ``fitness``; the ``score`` that it measured; the
            ``prior``; ``both`` in one number; or ``auto``, what was the better of them when it was
            trained, see :func:`nas_search.commands.finalists_by.settled`.
        distance: number of cell edges in which any two differ at least; 1 requires only different
            networks.
        seeds: seeds of the trainings of each finalist, ranked by the mean validation accuracy;
            each seed holds out another part of the training images.
        halving: eta, 2 or more: at 1/eta, 1/eta^2, ... of the epochs only the best 1/eta of the
            finalists continue (successive halving, Jamieson and Talwalkar 2016); 0 trains all
            to the end.
        refit: train the winner once more on all training images, those held out too; None does
            so where images are few, see :mod:`nas_search.training.refit`.
        export: further formats of the winner: ``pt2`` (torch.export), ``onnx``.
        tensorboard: write TensorBoard's event files too.
        threads: torch threads of a training on the CPU, 1 or more; None for as many as torch takes,
            and for an equal share of the cores where several train side by side.
    """

    k: int = 0
    by: Literal["auto", "fitness", "score", "prior", "both"] = "auto"
    distance: int = 2
    seeds: list[int] = field(default_factory=lambda: [0])
    halving: int = 0
    refit: bool | None = None
    export: list[str] = field(default_factory=list)
    tensorboard: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError(f"finalists.threads={self.threads} must be 1 or more, or null")
        for key, least in (("k", 0), ("distance", 1)):
            if getattr(self, key) < least:
                raise InputError(f"finalists.{key}={getattr(self, key)} must be {least} or more")
        if self.halving != 0 and self.halving < 2:
            raise InputError(f"finalists.halving={self.halving} must be 0 (off), 2 or more")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"finalists.seeds={self.seeds} must be different, 0 or more")
        for name in self.export:
            if name not in ("pt2", "onnx"):
                raise InputError(f"unknown finalists.export '{name}'; possible: pt2, onnx")


def edit_distance(space: SearchSpace[Any], first: Any, second: Any) -> int:
    """Return the number of labeled cell edges to replace to turn one genotype into the other."""
    total = 0
    for one, other in zip(space.graphs(first), space.graphs(second), strict=True):
        a, b = Counter(one.edges), Counter(other.edges)
        total += max(sum((a - b).values()), sum((b - a).values()))
    return total


def choose_finalists(
    space: SearchSpace[Any],
    ranked: Sequence[tuple[int, Evaluation]],
    k: int,
    distance: int,
) -> list[tuple[int, Evaluation]]:
    """Return at most ``k`` of ``ranked`` (best first), skipping near-duplicates.

    An architecture is taken if its canonical form is new and it is ``distance`` edges or more from
    all those taken before. If that gives fewer than ``k``, the best different networks among the
    rest are added.
    """
    taken: list[tuple[int, Evaluation]] = []
    near: list[tuple[int, Evaluation]] = []
    keys: set[str] = set()
    for number, evaluation in ranked:
        if len(taken) == k:
            break
        if evaluation.key in keys:
            continue
        keys.add(evaluation.key)
        genotype = space.parse(evaluation.genotype)
        far = all(
            edit_distance(space, genotype, space.parse(other.genotype)) >= distance
            for _, other in taken
        )
        (taken if far else near).append((number, evaluation))
    order = {number: position for position, (number, _) in enumerate(ranked)}
    finalists = taken + near[: k - len(taken)]
    return sorted(finalists, key=lambda pair: order[pair[0]])


def rungs(epochs: int, count: int, eta: int) -> list[tuple[int, int]]:
    """Return (epoch, number of survivors) per rung of successive halving, the last included.

    Args:
        epochs: epochs of a complete training.
        count: number of finalists.
        eta: as in :class:`FinalistsConfig`; 0 gives one rung, at the end.
    """
    plan: list[tuple[int, int]] = []
    at, left = epochs, 1
    while eta and left < count and at // eta >= 1:
        at //= eta
        plan.append((at, left))
        left *= eta
    return [*reversed(plan), (epochs, 1)]
