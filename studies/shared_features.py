"""Features that cells of two search spaces both have, under common names of operations.

A feature of a cell counts operations of a set (nas_search/features/cells.py). Spaces name their
operations differently, so sets are taken under common names: 3x3 and 1x1 convolutions where they
are plain ones, families (any convolution, any pooling), skip connections, and all operations; with
the nodes, edges and depths of the cell. Of a space with two cells it is the normal one.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from nas_search.core.errors import InputError
from nas_search.features import graph_features
from nas_search.priors.forest import Array
from nas_search.spaces import SearchSpace

COMMON: Mapping[str, str] = {
    "nor_conv_3x3": "conv3x3",
    "conv3x3-bn-relu": "conv3x3",
    "nor_conv_1x1": "conv1x1",
    "conv1x1-bn-relu": "conv1x1",
    "convolution": "convolution",
    "pooling": "pooling",
    "maxpool3x3": "pooling",
    "avg_pool_3x3": "pooling",
    "skip_connect": "skip",
    "any": "any",
}
"""Common names of sets of operations; a name of its own where a space has it as a family."""

_FEATURE = re.compile(r"(?P<feature>\w+)(?:\[(?P<set>.+)\])?")


def shared(
    one: SearchSpace[Any],
    architectures: Sequence[Hashable],
    other: SearchSpace[Any],
    others: Sequence[Hashable],
) -> tuple[tuple[str, ...], Array, Array]:
    """Return the common names of shared features, and these of both, (n, k) and (m, k).

    Raises:
        InputError: the spaces have none.
    """
    first, second = common_names(one), common_names(other)
    names = tuple(name for name in first if name in second)
    if not names:
        raise InputError(f"{one.name} and {other.name} have no feature in common")
    values = []
    for space, these, columns in ((one, architectures, first), (other, others, second)):
        found = graph_features(space, these)
        places = {name: place for place, name in enumerate(found.names)}
        values.append(found.values[:, [places[columns[name]] for name in names]])
    return names, values[0], values[1]


def common_names(space: SearchSpace[Any]) -> dict[str, str]:
    """Return the names of features of a space by their common names.

    Empty where the space has no cells: its features are choices, which no other space has.
    """
    if not space.cells:
        return {}
    kind = space.cells[0]
    families = set(kind.families)
    found: dict[str, str] = {}
    for name in graph_features(space, []).names:
        if not name.startswith(f"{kind.name}."):
            continue
        match = _FEATURE.fullmatch(name.removeprefix(f"{kind.name}."))
        assert match is not None
        feature, operations = match["feature"], match["set"]
        if operations is None:
            found[feature] = name
            continue
        common = COMMON.get(operations)
        if common is None or (common in families and operations != common):
            continue  # a part of a family that the space has as a whole
        found[f"{feature}[{common}]"] = name
    return found
