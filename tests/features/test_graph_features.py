"""Features of cells: laws, published cells counted by hand, and all paths one by one."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.core.errors import InputError
from nas_search.features import graph_features
from nas_search.features.cells import cell_names, operation_sets
from nas_search.spaces import SPACES, WIRE, CellKind, ChoiceSpace, OperationGraph, SearchSpace
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.darts.genotype import NODES, OPERATIONS, Genotype
from nas_search.spaces.nasbench101.genotype import Nasbench101Genotype
from nas_search.spaces.nasbench201.network import OPERATIONS as OPERATIONS_201
from nas_search.spaces.nasbench201.space import Nasbench201Genotype


def space_of(name: str) -> SearchSpace[Any]:
    return SPACES.get(name).space()


def described(space: SearchSpace[Any], architecture: object) -> dict[str, float]:
    features = graph_features(space, [architecture])
    return dict(zip(features.names, features.values[0].tolist(), strict=True))


def relabeled_darts(genotype: Genotype, rng: np.random.Generator) -> Genotype:
    """Renumber the inner nodes, write each node's edges in another order, shuffle the output."""
    fields: dict[str, Any] = {}
    for name in ("normal", "reduce"):
        edges = getattr(genotype, name)
        nodes = [edges[2 * n : 2 * n + 2] for n in range(NODES)]
        order: list[int] = []
        while len(order) < NODES:
            ready = [
                n
                for n in range(NODES)
                if n not in order and all(s < 2 or s - 2 in order for _, s in nodes[n])
            ]
            order.append(int(rng.choice(ready)))
        number = {0: 0, 1: 1, **{old + 2: new + 2 for new, old in enumerate(order)}}
        fields[name] = tuple(
            (operation, number[source])
            for old in order
            for operation, source in rng.permutation(np.array(nodes[old], dtype=object)).tolist()
        )
        concat = getattr(genotype, f"{name}_concat")
        fields[f"{name}_concat"] = tuple(rng.permutation([number[n] for n in concat]).tolist())
    return Genotype(**fields)


def relabeled_101(genotype: Nasbench101Genotype, rng: np.random.Generator) -> Nasbench101Genotype:
    count = len(genotype.ops)
    order = [0]
    while len(order) < count - 1:
        ready = [
            v
            for v in range(1, count - 1)
            if v not in order and all(u in order for u in range(v) if genotype.matrix[u][v])
        ]
        order.append(int(rng.choice(ready)))
    order.append(count - 1)
    matrix = tuple(tuple(genotype.matrix[x][y] for y in order) for x in order)
    return Nasbench101Genotype(matrix, tuple(genotype.ops[v] for v in order))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), everything=st.booleans())
def test_other_numbers_of_darts_nodes_change_nothing(seed: int, everything: bool) -> None:
    rng = np.random.default_rng(seed)
    space = DartsSpace(OPERATIONS if everything else OPERATIONS[1:])
    genotype = space.sample(rng)
    assert described(space, relabeled_darts(genotype, rng)) == described(space, genotype)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_other_numbers_of_nasbench101_vertices_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = space_of("nasbench101")
    genotype = space.sample(rng)
    assert described(space, relabeled_101(genotype, rng)) == described(space, genotype)


@pytest.mark.slow
def test_all_nasbench201_cells_of_one_network_have_the_same_features() -> None:
    space = space_of("nasbench201")
    cells = [Nasbench201Genotype(row) for row in itertools.product(OPERATIONS_201, repeat=6)]
    values = graph_features(space, cells).values
    vectors = defaultdict(set)
    for cell, row in zip(cells, values, strict=True):
        vectors[space.canonical(cell)].add(row.tobytes())
    assert len(vectors) == 5425
    assert max(map(len, vectors.values())) == 1
    assert len(set().union(*vectors.values())) > 5000  # and nearly all networks differ in them


@settings(max_examples=100, deadline=None)
@given(row=st.tuples(*[st.sampled_from(list(OPERATIONS_201))] * 6))
def test_other_numbers_of_nasbench201_nodes_change_nothing(row: tuple[str, ...]) -> None:
    space = space_of("nasbench201")
    a, b, _, d, e, f = row
    here = described(space, Nasbench201Genotype((a, b, "none", d, e, f)))
    assert here == described(space, Nasbench201Genotype((b, a, "none", d, f, e)))
    # Node 1 is a copy of the input, so what it reads may as well be read from there.
    copied = described(space, Nasbench201Genotype(("skip_connect", b, "none", d, e, f)))
    other = described(space, Nasbench201Genotype(("skip_connect", "none", b, d, e, f)))
    assert copied == other


def test_order_of_darts_inputs_matters() -> None:
    space = space_of("darts")
    one = space.parse("DARTS_V1")
    swap = {0: 1, 1: 0}
    other = Genotype(
        tuple((operation, swap.get(source, source)) for operation, source in one.normal),
        one.normal_concat,
        one.reduce,
        one.reduce_concat,
    )
    here, there = described(space, one), described(space, other)
    assert here["normal.count[any]"] == there["normal.count[any]"]
    pair = ("normal.edges_from_older_input[any]", "normal.edges_from_newer_input[any]")
    assert [here[n] for n in pair] == [there[n] for n in reversed(pair)] == [4, 3]


def test_darts_v2_counted_by_hand() -> None:
    values = described(space_of("darts"), "DARTS_V2")
    expected = {
        "normal.count[sep_conv_3x3]": 5,
        "normal.count[skip_connect]": 2,
        "normal.count[separable]": 5,
        "normal.count[convolution]": 6,
        "normal.edges_from_input[skip_connect]": 2,
        "normal.edges_from_older_input[sep_conv_3x3]": 2,
        "normal.edges_from_newer_input[sep_conv_3x3]": 3,
        "normal.shortest_path[skip_connect]": 1,
        "normal.shortest_path[max_pool_3x3]": 7,  # there is none
        "normal.most_on_path[convolution]": 2,
        "normal.depth_max": 2,
        "normal.depth_mean": 1.25,
        "reduce.count[max_pool_3x3]": 5,
        "reduce.count[skip_connect]": 3,
        "reduce.edges_from_input[any]": 5,
    }
    assert {name: values[name] for name in expected} == expected


def test_a_dead_cell_has_no_operations() -> None:
    values = described(space_of("nasbench201"), "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert values["cell.count[any]"] == values["cell.depth_max"] == values["cell.wires"] == 0


@pytest.mark.parametrize("name", ["darts", "nasbench101", "nasbench201", "transnas_micro"])
def test_paths_and_counts_are_those_of_all_paths_one_by_one(name: str) -> None:
    space = space_of(name)
    rng = np.random.default_rng(0)
    for genotype in [space.sample(rng) for _ in range(25)]:
        values = described(space, genotype)
        for kind, graph in zip(space.cells, space.operation_graphs(genotype), strict=True):
            for feature, value in naive(kind, graph).items():
                assert values[feature] == value, (feature, str(genotype))


def naive(kind: CellKind, graph: OperationGraph) -> dict[str, float]:
    """Return features of a cell by walking every path."""
    paths = [p for i in range(len(kind.inputs)) for p in walk(graph, i, kind.nodes - 1)]
    values: dict[str, float] = {}
    for name, members in operation_sets(kind).items():
        inside = [sum(o in members for o in path) for path in paths] or [0]
        pure = [
            sum(o != WIRE for o in path)
            for path in paths
            if all(o in members or o == WIRE for o in path)
        ]
        values[f"{kind.name}.count[{name}]"] = sum(one.name in members for one in graph)
        values[f"{kind.name}.most_on_path[{name}]"] = max(inside)
        values[f"{kind.name}.fewest_on_path[{name}]"] = min(inside)
        values[f"{kind.name}.shortest_path[{name}]"] = min(pure, default=kind.nodes)
        values[f"{kind.name}.edges_from_input[{name}]"] = sum(
            source < len(kind.inputs)
            for one in graph
            if one.name in members
            for source in one.sources
        )
        inner = range(len(kind.inputs), kind.nodes - 1)
        into = [
            sum(len(o.sources) for o in graph if o.name in members and o.target == node)
            for node in inner
        ]
        out = [sum(o.sources.count(node) for o in graph if o.name in members) for node in inner]
        values[f"{kind.name}.most_into_node[{name}]"] = max(into)
        values[f"{kind.name}.most_out_of_node[{name}]"] = max(out)
    depths = [
        max(lengths)
        for node in range(len(kind.inputs), kind.nodes - 1)
        if (lengths := [len(p) for i in range(len(kind.inputs)) for p in walk(graph, i, node)])
    ]
    values[f"{kind.name}.depth_max"] = max(depths, default=0)
    values[f"{kind.name}.depth_mean"] = float(np.mean(depths)) if depths else 0
    values[f"{kind.name}.nodes"] = len(depths)
    return values


def walk(graph: OperationGraph, start: int, end: int) -> list[list[str]]:
    """Return the names of the operations along every path from one node to another."""
    if start == end:
        return [[]]
    return [
        [one.name, *rest]
        for one in graph
        for source in one.sources
        if source == start
        for rest in walk(graph, one.target, end)
    ]


class Stages(ChoiceSpace[Any]):
    name = "stages"
    positions = (("conv", "pool"), ("conv", "skip"), ("16", "32"))

    def build(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


def test_a_space_of_choices_has_features_for_free() -> None:
    values = described(Stages(), "pool|conv|32")
    assert values == {
        "count[conv]": 1,
        "count[pool]": 1,
        "count[skip]": 0,
        "sum": 32,
        "choice1[conv]": 0,
        "choice1[pool]": 1,
        "choice2[conv]": 1,
        "choice2[skip]": 0,
        "choice3": 32,
    }


def test_a_space_without_cells_and_choices_is_refused() -> None:
    class Neither(SearchSpace[Any]):
        name = "neither"
        size = 1
        sample = crossover = neighbors = parse = build = graphs = None  # type: ignore[assignment]

    with pytest.raises(InputError, match="neither cells"):
        graph_features(Neither(), ["x"])


@pytest.mark.parametrize("name", ["darts", "nasbench101", "nasbench201", "transnas_micro"])
def test_names_are_unique_and_rows_are_independent_of_each_other(name: str) -> None:
    space = space_of(name)
    rng = np.random.default_rng(1)
    genotypes: Sequence[Any] = [space.sample(rng) for _ in range(5)]
    features = graph_features(space, [str(one) for one in genotypes])
    assert len(set(features.names)) == len(features.names) == features.values.shape[1]
    assert features.names == tuple(n for kind in space.cells for n in cell_names(kind))
    for one, row in zip(genotypes, features.values, strict=True):
        np.testing.assert_array_equal(graph_features(space, [one]).values[0], row)
    assert graph_features(space, []).values.shape == (0, len(features.names))
