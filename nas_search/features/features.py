"""Features of architectures: of their graphs of operations, their choices, or the space's own.

After GRAF (Kadlecova et al., ICML 2024, arXiv 2404.16551): counts, paths and degrees for sets of
operations; with the depth of nodes, and what hangs on each of a cell's inputs.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_search.core.errors import InputError
from nas_search.features.cells import cell_features, cell_names
from nas_search.features.choices import choice_features, choice_names
from nas_search.spaces import ChoiceSpace, SearchSpace

VERSION = 1
"""Of the definition: a model of features of another version cannot be used."""

TOGETHER = 8192
"""Architectures whose graphs are in memory at once, as arrays: about 50 MB."""


@dataclass(frozen=True)
class Features:
    """Features of n architectures.

    Attributes:
        names: one readable name per feature, e.g. ``normal.count[sep_conv_3x3]``.
        values: (n, features) float64.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]


def feature_names(space: SearchSpace[Any]) -> tuple[str, ...]:
    """Return the names of the features of architectures of ``space``.

    Raises:
        InputError: the space has neither cells nor choices nor numbers.
    """
    if space.cells:
        return tuple(name for kind in space.cells for name in cell_names(kind))
    if isinstance(space, ChoiceSpace):
        return choice_names(space.positions, space.labels)
    if space.numbers:
        return space.numbers
    raise InputError(
        f"search_space={space.name} has no features: it names neither cells with "
        "operation_graphs() nor choices, nor numbers with described()"
    )


def graph_features(space: SearchSpace[Any], architectures: Sequence[Hashable]) -> Features:
    """Return the features of ``architectures``, equal for isomorphic ones.

    Args:
        space: their search space.
        architectures: (n) genotypes, or their texts.

    Raises:
        InputError: the space has no features, or a text is no architecture of it.
    """
    names = feature_names(space)
    genotypes: list[Any] = [
        space.parse(one) if isinstance(one, str) else one for one in architectures
    ]
    if not genotypes:
        return Features(names, np.empty((0, len(names))))
    if not space.cells and not isinstance(space, ChoiceSpace):
        return Features(names, np.array([space.described(one) for one in genotypes], float))
    if not space.cells:
        assert isinstance(space, ChoiceSpace)
        choices = [space.expressed(genotype) for genotype in genotypes]
        return Features(names, choice_features(space.positions, choices, space.labels))
    rows = []
    for start in range(0, len(genotypes), TOGETHER):
        graphs = [space.operation_graphs(one) for one in genotypes[start : start + TOGETHER]]
        columns = [
            cell_features(kind, [graph[number] for graph in graphs])
            for number, kind in enumerate(space.cells)
        ]
        rows.append(np.concatenate(columns, axis=1))
    return Features(names, np.concatenate(rows))
