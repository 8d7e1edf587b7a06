"""NAS-Bench-101: its laws, its published rules, and agreement with the published table."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_search.core.errors import InputError
from nas_search.scoring import Scheme, ScoringTask
from nas_search.spaces import Cost
from nas_search.spaces.costs import count
from nas_search.spaces.nasbench101 import Nasbench101Space
from nas_search.spaces.nasbench101.genotype import Nasbench101Genotype, from_graph
from nas_search.spaces.nasbench101.graph import (
    OPERATIONS,
    PRUNED_GRAPHS,
    CellGraph101,
    canonical,
    from_bits,
    prune,
    pruned_graph,
    pruned_matrices,
)
from nas_search.spaces.nasbench101.network import Nasbench101Cell, vertex_channels
from nas_search.testing.gradients import gradients_by_loop
from nas_search.testing.spaces import SearchSpaceConformance

SPACE = Nasbench101Space()
CONV3, CONV1, POOL = OPERATIONS
PUBLISHED = ((3, 32, 32), 10)
SMALL = {"modules_per_stack": 1, "channels": 6}


class TestNasbench101(SearchSpaceConformance):
    space = SPACE
    macro = SMALL
    fixed_shapes = False  # a vertex is as wide as the output leaves it

    def genes(self, genotype: Any) -> Sequence[Hashable]:
        columns = list(zip(*genotype.matrix, strict=True))
        return list(zip(columns, genotype.ops, strict=True))


def cell(vertices: int, edges: str, *operations: str) -> Nasbench101Genotype:
    """A genotype from edges like ``"01 12"``."""
    matrix = [[0] * vertices for _ in range(vertices)]
    for edge in edges.split():
        matrix[int(edge[0])][int(edge[1])] = 1
    return Nasbench101Genotype(tuple(map(tuple, matrix)), ("input", *operations, "output"))


def random_writing(rng: np.random.Generator) -> Nasbench101Genotype:
    """Sample as published: seven vertices, every edge with probability 1/2, until it is valid."""
    while True:
        matrix = np.triu(rng.integers(2, size=(7, 7)), 1)
        ops = ("input", *(OPERATIONS[i] for i in rng.integers(3, size=5)), "output")
        try:
            return Nasbench101Genotype(tuple(map(tuple, matrix.tolist())), ops)
        except InputError:
            continue


# The table


class Table:
    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.vertices = file["n_vertices"].tolist()
            self.bits = file["adj_bits"].tolist()
            self.ops = file["ops"].tolist()
            self.params = file["params"].tolist()

    def genotype(self, row: int) -> Nasbench101Genotype:
        return from_graph(
            from_bits(self.vertices[row], self.bits[row], [int(digit) for digit in self.ops[row]])
        )

    def check(self, rows: Iterator[int]) -> int:
        """Check all properties of ascending ``rows``; return the number of rows."""
        seen, last, checked = set(), "", 0
        for row in rows:
            genotype = self.genotype(row)
            assert SPACE.cost(genotype, *PUBLISHED).params == self.params[row], row
            key = SPACE.canonical(genotype)
            assert key == f"{self.vertices[row]}-{self.bits[row]}-{self.ops[row]}"
            seen.add(key)
            published = SPACE.benchmark_hash(genotype)
            assert len(published) == 32
            assert published > last, row  # the table is sorted by the benchmark's hash
            last, checked = published, checked + 1
        assert len(seen) == checked
        return checked


@pytest.fixture(scope="module")
def table(shared_data: Path) -> Table:
    return Table(shared_data / "nasbench101.npz")


@pytest.mark.slow
def test_rows_have_the_parameters_and_hash_order_of_the_table(table: Table) -> None:
    assert len(table.bits) == SPACE.size == 423_624
    few = [row for row, vertices in enumerate(table.vertices) if vertices <= 5]
    rows = sorted({*few, *range(0, len(table.bits), 16)})
    assert table.check(iter(rows)) == 28_858


def test_parsing_inverts_the_text_form_of_rows(table: Table) -> None:
    for row in range(0, len(table.bits), 1009):
        genotype = table.genotype(row)
        again = SPACE.parse(str(genotype))
        assert again == genotype
        assert len(again.ops) == table.vertices[row]


# Pruning, canonical form, hash, sampling


def test_number_of_pruned_graphs_equals_the_count() -> None:
    matrices = pruned_matrices()
    counted = {vertices: len(bits) for vertices, bits in matrices.items()}
    assert counted == {2: 1, 3: 2, 4: 10, 5: 121, 6: 1545, 7: 4793}
    assert sum(n * 3 ** (v - 2) for v, n in counted.items()) == PRUNED_GRAPHS
    for index in (0, 1, 6, 7, 100, 33_000, PRUNED_GRAPHS - 1):
        graph = pruned_graph(index)
        assert prune(graph) == graph
    few = {pruned_graph(index) for index in range(1 + 2 * 3 + 10 * 9 + 121 * 27)}
    assert len(few) == 1 + 2 * 3 + 10 * 9 + 121 * 27


SEVEN_WITHOUT_POOLING = 48_004
"""Published cells of seven vertices, none of which is a pooling."""
UP_TO_SIX = 64_542
"""Published cells of at most six vertices."""


def test_published_cells_are_so_many(table: Table) -> None:
    assert sum(vertices <= 6 for vertices in table.vertices) == UP_TO_SIX
    pooling = str(OPERATIONS.index(POOL))
    rows = zip(table.vertices, table.ops, strict=True)
    found = sum(vertices == 7 and pooling not in ops for vertices, ops in rows)
    assert found == SEVEN_WITHOUT_POOLING


@pytest.mark.slow
def test_pruned_graphs_are_the_published_cells() -> None:
    # All edges with two operations, and fewer with all three: all of both would take minutes.
    matrices = pruned_matrices()
    first = PRUNED_GRAPHS - len(matrices[7]) * 3**5
    assert len({canonical(pruned_graph(index)) for index in range(first)}) == UP_TO_SIX
    convolutions = [OPERATIONS.index(CONV3), OPERATIONS.index(CONV1)]
    seven = {
        canonical(from_bits(7, bits, operations))
        for bits in matrices[7].tolist()
        for operations in itertools.product(convolutions, repeat=5)
    }
    assert len(seven) == SEVEN_WITHOUT_POOLING


def test_vertices_on_no_path_are_pruned() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        genotype = random_writing(rng)
        reach = np.linalg.inv(np.eye(7) - np.array(genotype.matrix)) > 0.5  # numbers of paths
        kept = np.flatnonzero(reach[0] & reach[:, -1])
        expected = np.array(genotype.matrix)[np.ix_(kept, kept)]
        pruned = prune(genotype.graph)
        assert pruned is not None
        assert from_graph(pruned).matrix == tuple(map(tuple, expected.tolist()))
        assert from_graph(pruned).ops == tuple(genotype.ops[v] for v in kept)
    assert prune(CellGraph101(((), (1,)), (0,))) is None


def brute_force_key(genotype: Nasbench101Genotype) -> object:
    """Isomorphism class of the pruned graph by all permutations of its interior vertices."""
    pruned = prune(genotype.graph)
    assert pruned is not None
    last = pruned.vertices - 1
    edges = [(x, y) for y, feeding in enumerate(pruned.sources, 1) for x in feeding]
    forms = []
    for order in itertools.permutations(range(1, last)):
        name = {0: 0, last: last, **dict(zip(range(1, last), order, strict=True))}
        labels = sorted((name[v], op) for v, op in enumerate(pruned.operations, 1))
        forms.append((labels, sorted((name[x], name[y]) for x, y in edges)))
    return repr(min(forms))


def test_canonical_forms_and_hashes_are_equal_exactly_for_isomorphic_cells() -> None:
    rng = np.random.default_rng(1)
    genotypes = [random_writing(rng) for _ in range(400)]
    # Few vertices and edges, so that many are isomorphic.
    genotypes += [from_graph(pruned_graph(int(i))) for i in rng.integers(33_000, size=400)]
    keys = defaultdict(set)
    for genotype in genotypes:
        ours = SPACE.canonical(genotype), SPACE.benchmark_hash(genotype)
        keys[brute_force_key(genotype)].add(ours)
    assert all(len(found) == 1 for found in keys.values())
    found = [next(iter(each)) for each in keys.values()]
    assert len({key for key, _ in found}) == len({text for _, text in found}) == len(keys)
    assert len(keys) < len(genotypes) - 50


def test_all_numberings_of_a_cell_have_one_network() -> None:
    # Seven channels for two vertices: 4 go to the one numbered first, whichever that is.
    first = cell(4, "01 02 13 23", CONV3, POOL)
    second = cell(5, "01 03 14 34 02", POOL, CONV1, CONV3)
    assert first != second
    assert SPACE.canonical(first) == SPACE.canonical(second)
    macro = {"modules_per_stack": 1, "channels": 7}
    shapes = [
        {n: p.shape for n, p in SPACE.build(g, (3, 8, 8), 4, **macro).named_parameters()}
        for g in (first, second)
    ]
    assert shapes[0] == shapes[1]
    assert SPACE.cost(first, (3, 8, 8), 4, **macro) == SPACE.cost(second, (3, 8, 8), 4, **macro)


def test_samples_are_uniform_over_the_different_cells(table: Table) -> None:
    rng = np.random.default_rng(0)
    keys = [SPACE.canonical(SPACE.sample(rng)) for _ in range(4000)]
    assert len(set(keys)) > 3950
    vertices = Counter(int(key[0]) for key in keys)
    published = Counter(table.vertices)
    for number in (5, 6, 7):
        share = published[number] / SPACE.size
        assert abs(vertices[number] / 4000 - share) < 4 * (share * (1 - share) / 4000) ** 0.5
    digits = Counter("".join(key.split("-")[2] for key in keys))
    assert max(digits.values()) < 1.1 * min(digits.values())


def test_smaller_cell_can_grow() -> None:
    chain = cell(3, "01 12", POOL)
    rng = np.random.default_rng(0)
    neighbors = set(SPACE.neighbors(chain))
    assert {len(neighbor.ops) for neighbor in neighbors} == {7}
    assert {SPACE.mutate(chain, rng) for _ in range(500)} == neighbors
    other = SPACE.sample(rng)
    assert len(SPACE.crossover(chain, other, rng).ops) == 7
    sizes, genotype = set(), chain
    for _ in range(100):
        genotype = SPACE.mutate(genotype, rng)
        sizes.add(SPACE.canonical(genotype)[0])
    assert sizes >= {"3", "4", "5", "6"}


def test_cell_has_31_neighbors_if_all_edges_may_change() -> None:
    genotype = cell(7, "01 16 06 12", *[CONV1] * 5)
    assert len(list(SPACE.neighbors(genotype))) == 31
    assert len(list(SPACE.neighbors(cell(7, "06", *[CONV1] * 5)))) == 30  # its edge must stay


# The text form


EXAMPLE = """api.ModelSpec(
    # Adjacency matrix of the module
    matrix=[[0, 1, 1, 1, 0, 1, 0],    # input layer
            [0, 0, 0, 0, 0, 0, 1],    # 1x1 conv
            [0, 0, 0, 0, 0, 0, 1],    # 3x3 conv
            [0, 0, 0, 0, 1, 0, 0],    # 5x5 conv (replaced by two 3x3's)
            [0, 0, 0, 0, 0, 0, 1],    # 5x5 conv (replaced by two 3x3's)
            [0, 0, 0, 0, 0, 0, 1],    # 3x3 max-pool
            [0, 0, 0, 0, 0, 0, 0]],   # output layer
    ops=[INPUT, CONV1X1, CONV3X3, CONV3X3, CONV3X3, MAXPOOL3X3, OUTPUT])"""


def test_published_text_forms_are_parsed() -> None:
    inception = cell(7, "01 02 03 05 16 26 34 46 56", CONV1, CONV3, CONV3, CONV3, POOL)
    assert SPACE.parse(EXAMPLE) == inception
    ops = str(list(inception.ops))
    matrix = np.array(inception.matrix)
    for written in (
        f"ModelSpec(matrix={matrix.tolist()}, ops={ops})",
        f"ModelSpec({matrix.tolist()}, {ops})",
        f"ModelSpec(ops={inception.ops}, matrix={matrix.astype(bool).tolist()})",
        f"ModelSpec(matrix={matrix}, ops={ops})",
        f"ModelSpec(matrix={matrix.astype(float)}, ops={ops})",
        f"nasbench.api.ModelSpec(matrix=np.{matrix!r}, ops=np.array({ops}))",
        f"ModelSpec(matrix=np.array({matrix.tolist()}, dtype=np.int8),\n  ops={ops},)",
    ):
        assert SPACE.parse(written) == inception, written
    assert str(inception).startswith("ModelSpec(matrix=[[0, 1, 1, 1, 0, 1, 0], [0, 0,")
    arrays: Any = (matrix, np.array(inception.ops))
    from_arrays = Nasbench101Genotype(*arrays)
    assert from_arrays == inception
    assert str(from_arrays) == str(inception)


OK = "[[0, 1, 0], [0, 0, 1], [0, 0, 0]]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"Spec({OK}, ['input', '{POOL}', 'output'])", "write it like ModelSpec"),
        (f"ModelSpec({OK})", "missing ops"),
        (f"ModelSpec({OK}, [], [])", "expected 2 fields, got 3"),
        (f"ModelSpec({OK}, matrix={OK})", "matrix: given twice"),
        (f"ModelSpec({OK}, data_format='x')", "unknown field 'data_format'"),
        (f"ModelSpec({OK}, ops=f())", "ops: expected a list"),
        (f"ModelSpec({OK}, ops=['input', __import__('os'), 'output'])", "plain names"),
        (f"ModelSpec({OK}, ops=['input', 'output'])", "expected 2 rows"),
        (f"ModelSpec({OK}, ops=['input', 'conv5x5', 'output'])", r"ops\[1\]: unknown operation"),
        (f"ModelSpec({OK}, ops=['input', 3, 'output'])", r"ops\[1\]: unknown operation 3"),
        (f"ModelSpec({OK}, ops=['{POOL}', 'input', 'output'])", "expected 'input' as the first"),
        (f"ModelSpec({OK}, ops=['input', '{POOL}', '{POOL}'])", "expected 'output' as the last"),
        ("ModelSpec([[]], ops=['input'])", "expected 2 to 7 vertices, got 1"),
        (f"ModelSpec({[[0] * 8] * 8}, ops={['input', *[POOL] * 6, 'output']})", "got 8"),
        (
            "ModelSpec([[0, 1], [0, 0, 0]], ['input', 'output'])",
            r"matrix\[1\]: expected a row of 2",
        ),
        ("ModelSpec([[0, 1], 7], ['input', 'output'])", r"matrix\[1\]: expected a row of 2"),
        ("ModelSpec([[0, 2], [0, 0]], ['input', 'output'])", r"matrix\[0\]\[1\]: expected 0 or 1"),
        ("ModelSpec([[0, '1'], [0, 0]], ['input', 'output'])", "expected 0 or 1, got '1'"),
        (
            "ModelSpec([[0, 1], [1, 0]], ['input', 'output'])",
            r"matrix\[1\]\[0\]: an edge must lead",
        ),
        (
            "ModelSpec([[1, 1], [0, 0]], ['input', 'output'])",
            r"matrix\[0\]\[0\]: an edge must lead",
        ),
        ("ModelSpec([[0, 0], [0, 0]], ['input', 'output'])", "no path leads from the input"),
        ("ModelSpec([[0, 1], [0, 0]] ['input', 'output'])", "missing ops"),
        ("ModelSpec([[0, 1], [0, 0]], ['in\\x00put', 'output'])", "backslash"),
        ("ModelSpec(" + "[" * 5000 + "]" * 5000 + ")", "nasbench101 cell"),
        ("ModelSpec(matrix=[[0 1]\n [0 0, ops=[])", "nasbench101 cell"),
    ],
)
def test_errors_locate_malformed_cells_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        SPACE.parse(text)
    assert "\n" not in str(caught.value)


def test_nine_edges_are_counted_after_pruning() -> None:
    ops = [CONV3] * 5
    nine = "01 02 14 24 45 56 06 16 26"  # all but vertex 3
    hanging = " 03 13 23"
    assert SPACE.canonical(cell(7, nine + hanging, *ops)) == SPACE.canonical(cell(7, nine, *ops))
    with pytest.raises(InputError, match="13 edges after pruning, at most 9"):
        cell(7, nine + hanging + " 34", *ops)


# The network


def test_channels_are_shared_and_the_first_vertices_get_the_rest() -> None:
    def widths(edges: str, vertices: int, outputs: int) -> tuple[int, ...]:
        return vertex_channels(cell(vertices, edges, *[CONV3] * (vertices - 2)).graph, outputs)

    assert widths("01", 2, 9) == (9,)
    assert widths("01 02 03 14 24 34", 5, 128) == (43, 43, 42, 128)
    assert widths("01 02 03 14 24 34 04", 5, 128) == (43, 43, 42, 128)  # the input takes no share
    assert widths("01 12 13 24 34", 5, 7) == (4, 4, 3, 7)  # the widest that it feeds
    assert widths("01 12 23 34", 5, 7) == (7, 7, 7, 7)
    assert widths("01 12 14 23 24 34", 5, 11) == (4, 4, 3, 11)


def test_every_cell_distributes_all_channels_and_none_widens() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        graph = pruned_graph(int(rng.integers(PRUNED_GRAPHS)))
        outputs = int(rng.integers(5, 300))
        widths = vertex_channels(graph, outputs)
        feeding = [v for v in graph.sources[-1] if v]
        assert sum(widths[v - 1] for v in feeding) == (outputs if feeding else 0)
        assert min(widths) >= 1
        for y, sources in enumerate(graph.sources[:-1], 1):
            assert all(0 <= widths[x - 1] - widths[y - 1] <= 1 for x in sources if x)


def test_cell_adds_at_vertices_and_concatenates_at_the_output() -> None:
    graph = cell(5, "01 03 04 12 13 24 34", CONV3, POOL, CONV1).graph
    module = Nasbench101Cell(graph, 3, 7).double()
    part = dict(module.named_children())
    assert set(part) == {
        "vertex1_conv3x3-bn-relu",
        "vertex1_projection",
        "vertex2_maxpool3x3",
        "vertex3_conv1x1-bn-relu",
        "vertex3_projection",
        "output_projection",
    }
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    one = part["vertex1_conv3x3-bn-relu"](part["vertex1_projection"](x))
    assert one.shape[1] == 4
    two = functional.max_pool2d(one, 3, 1, 1)
    three = part["vertex3_conv1x1-bn-relu"](one[:, :3] + part["vertex3_projection"](x))
    expected = torch.cat([two, three], 1) + part["output_projection"](x)
    assert torch.allclose(module(x), expected)
    alone = Nasbench101Cell(cell(2, "01").graph, 3, 7)
    assert list(dict(alone.named_children())) == ["output_projection"]
    assert alone(torch.randn(2, 3, 5, 6)).shape == (2, 7, 5, 6)


def test_skeleton_is_the_published_one() -> None:
    with torch.device("meta"):
        network = SPACE.build(cell(3, "01 12", CONV3), *PUBLISHED)
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert shapes["stem.0.weight"] == (128, 3, 3, 3)
    assert shapes["cells.2.vertex1_conv3x3-bn-relu.0.weight"] == (128, 128, 3, 3)
    assert shapes["cells.3.vertex1_projection.0.weight"] == (256, 128, 1, 1)
    assert shapes["cells.8.vertex1_projection.0.weight"] == (512, 512, 1, 1)
    assert shapes["head.2.weight"] == (10, 512)
    assert not any("cells.9" in name for name in shapes)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-5}
    assert [norm.momentum for norm in norms] == pytest.approx([0.003] * len(norms), abs=1e-12)
    sides: list[int] = []
    for part in network.get_submodule("cells").children():
        part.register_forward_hook(lambda _, inputs, __: sides.append(inputs[0].shape[-1]))
    network.eval()(torch.empty(1, 3, 32, 32, device="meta"))
    assert sides == [32] * 3 + [16] * 3 + [8] * 3


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 5, 5), (4, 17, 30)])
@pytest.mark.parametrize(
    "macro", [{}, SMALL, {"modules_per_stack": 2, "stacks": 2, "channels": 17}]
)
def test_cost_equals_that_of_the_built_network(
    macro: dict[str, int], shape: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(0)
    for genotype in [cell(2, "01"), *(SPACE.sample(rng) for _ in range(5))]:
        with torch.device("meta"):
            network = SPACE.build(genotype, shape, 7, **macro)
        cost = SPACE.cost(genotype, shape, 7, **macro)
        assert isinstance(cost, Cost)
        assert cost == count(network, shape)


def test_smallest_image_leaves_two_by_two() -> None:
    genotype = SPACE.sample(np.random.default_rng(0))
    for stacks, smallest in ((1, 2), (2, 3), (3, 5), (4, 9)):
        macro = {**SMALL, "stacks": stacks}
        network = SPACE.build(genotype, (3, smallest, smallest), 2, **macro)
        maps: list[tuple[int, ...]] = []
        network.get_submodule("head.0").register_forward_hook(
            lambda _, inputs, __, maps=maps: maps.append(tuple(inputs[0].shape[-2:]))
        )
        assert torch.isfinite(network(torch.randn(2, 3, smallest, smallest))).all()
        assert maps == [(2, 2)]
        with pytest.raises(InputError, match=f"too small: a skeleton of {stacks} stack"):
            SPACE.build(genotype, (3, smallest, smallest - 1), 2, **macro)


@pytest.mark.parametrize(
    ("macro", "message"),
    [
        ({"channels": 4}, "channels must be an integer of at least 5, got 4"),
        ({"stacks": 0}, "stacks"),
        ({"modules_per_stack": True}, "modules_per_stack"),
        ({"cells": 3}, "possible: modules_per_stack, stacks, channels"),
    ],
)
def test_impossible_macros_are_refused(macro: dict[str, Any], message: str) -> None:
    genotype = cell(2, "01")
    for make in (SPACE.build, SPACE.cost):
        with pytest.raises(InputError, match=message):
            make(genotype, *PUBLISHED, **macro)


def test_drawing_shows_the_built_cell() -> None:
    (graph,) = SPACE.graphs(cell(6, "01 02 05 15 34", CONV3, CONV1, CONV1, POOL))
    assert graph.nodes == ("input", f"1: {CONV3}", "output")
    edges = [(edge.source, edge.target, edge.label) for edge in graph.edges]
    assert edges == [
        ("input", f"1: {CONV3}", "projection"),
        ("input", "output", "projection"),
        (f"1: {CONV3}", "output", ""),
    ]


# Scores


@pytest.mark.parametrize("mode", ["sample", "frozen"])
def test_scores_equal_those_of_one_backward_pass_per_sample(mode: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(6, 3, 9, 8, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0, 2])
    task = DoubleTask(SPACE, SMALL, images, labels, 4, ("gradalign_i", "gradalign_ii"), mode)
    rng = np.random.default_rng(3)
    # Six channels over four vertices, and an input that is added: nothing divides evenly.
    uneven = cell(6, "01 02 13 15 25 35 45 05 24", CONV3, CONV3, CONV1, POOL)
    for genotype in [uneven, *(SPACE.sample(rng) for _ in range(4))]:
        network = task.build(genotype)
        weights = {n for n, p in network.named_parameters() if p.dim() > 1}
        rows = gradients_by_loop(network, images, labels, mode)
        flat = torch.cat([rows[name] for name in rows if name in weights], dim=1)
        unit = flat / flat.norm(dim=1, keepdim=True)
        cosines = unit @ unit.T
        eye = torch.eye(6, dtype=torch.float64)
        expected_i = ((cosines.sum() - cosines.trace()) / 30).item()
        expected_ii = torch.logdet(cosines + 1e-6 * eye).item()
        scores = task.evaluate(genotype).scores
        assert scores["gradalign_i"] == pytest.approx(expected_i, abs=1e-10, rel=1e-10)
        assert scores["gradalign_ii"] == pytest.approx(expected_ii, abs=1e-10, rel=1e-10)


class DoubleTask(ScoringTask):
    """The task in float64, for comparison to ten digits."""

    def build(self, genotype: Hashable, draw: int = 0, init: Scheme = "default") -> nn.Module:
        return super().build(genotype, draw, init).double()


def test_isomorphic_cells_have_one_score() -> None:
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 1, 0])
    task = ScoringTask(SPACE, SMALL, images, labels, 2, ("gradalign",))
    first = task.evaluate(cell(4, "01 02 13 23", CONV3, POOL))
    second = task.evaluate(cell(5, "01 03 14 34 02", POOL, CONV1, CONV3))
    assert first.status == second.status == "ok"
    assert first.scores == second.scores
