import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas_search.core.errors import InputError
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.darts.genotype import OPERATIONS, PUBLISHED, Edge, Genotype

SPACE = DartsSpace()
WITH_NONE = DartsSpace(OPERATIONS)
ALL = (2, 3, 4, 5)
_laws = settings(max_examples=60, deadline=None, derandomize=True, database=None)

# The three texts as their authors print them.
TEXTS = {
    "DARTS_V2": "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
    "('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])",
    "PC-DARTS": "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), "
    "('dil_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), "
    "('dil_conv_3x3', 1)], normal_concat=[2, 3, 4, 5], reduce=[('sep_conv_5x5', 1), "
    "('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], reduce_concat=[2, 3, 4, 5])",
    "P-DARTS": "Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 0), "
    "('dil_conv_5x5', 4)], normal_concat=[2, 3, 4, 5], reduce=[('avg_pool_3x3', 0), "
    "('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_5x5', 2), ('max_pool_3x3', 0), "
    "('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)], reduce_concat=[2, 3, 4, 5])",
}


@st.composite
def genotypes(draw: st.DrawFn) -> Genotype:
    """Any genotype: equal inputs, none, partial concatenations."""

    def cell() -> tuple[tuple[Edge, ...], tuple[int, ...]]:
        edges = [
            (draw(st.sampled_from(OPERATIONS)), draw(st.integers(0, 1 + position // 2)))
            for position in range(8)
        ]
        return tuple(edges), tuple(draw(st.permutations(ALL))[: draw(st.integers(1, 4))])

    return Genotype(*cell(), *cell())


def relabel_cell(
    edges: tuple[Edge, ...], concat: tuple[int, ...], rng: np.random.Generator
) -> tuple[tuple[Edge, ...], tuple[int, ...], dict[tuple[int, int], tuple[int, int]]]:
    """Renumber nodes 2 to 5 along another topological order and swap the edges of nodes."""
    place = {0: 0, 1: 1}
    new: list[Edge] = []
    moved = {}
    while len(place) < 6:
        ready = [
            node
            for node in ALL
            if node not in place and all(edges[2 * node - 4 + s][1] in place for s in (0, 1))
        ]
        node = int(rng.choice(ready))
        swap = int(rng.integers(2))
        for slot in (0, 1):
            operation, source = edges[2 * node - 4 + (slot ^ swap)]
            new.append((operation, place[source]))
            moved[node, slot ^ swap] = (len(place), slot)
        place[node] = len(place)
    return tuple(new), tuple(place[node] for node in concat), moved


Moved = dict[tuple[int, int], tuple[int, int]]


def relabel(genotype: Genotype, rng: np.random.Generator) -> tuple[Genotype, list[Moved]]:
    normal, normal_concat, first = relabel_cell(genotype.normal, genotype.normal_concat, rng)
    reduce, reduce_concat, second = relabel_cell(genotype.reduce, genotype.reduce_concat, rng)
    return Genotype(normal, normal_concat, reduce, reduce_concat), [first, second]


@_laws
@given(genotypes(), st.integers(0, 2**32 - 1))
def test_relabeling_keeps_the_canonical_form(genotype: Genotype, seed: int) -> None:
    rng = np.random.default_rng(seed)
    other, _ = relabel(genotype, rng)
    shuffled = Genotype(
        other.normal,
        tuple(rng.permutation(other.normal_concat).tolist()),
        other.reduce,
        tuple(rng.permutation(other.reduce_concat).tolist()),
    )
    assert SPACE.canonical(shuffled) == SPACE.canonical(genotype)


def test_relabeled_networks_compute_the_same_with_weights_carried_over() -> None:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    changed = 0
    for _ in range(6):
        genotype = WITH_NONE.sample(rng)
        other, (normal, reduce) = relabel(genotype, rng)
        changed += other != genotype
        assert SPACE.canonical(other) == SPACE.canonical(genotype)
        one, two = (
            SPACE.build(g, (3, 9, 9), 5, cells=4, channels=2).double() for g in (genotype, other)
        )
        state = {}
        for name, value in one.state_dict().items():
            parts = name.split(".")
            if parts[0] == "cells" and parts[2].startswith("node"):
                node, slot, operation = parts[2].split("_", 2)
                moved = reduce if parts[1] in ("1", "2") else normal
                new_node, new_slot = moved[int(node[4:]), int(slot[4:])]
                parts[2] = f"node{new_node}_slot{new_slot}_{operation}"
            state[".".join(parts)] = value
        two.load_state_dict(state)
        assert torch.allclose(one(images), two(images), rtol=1e-9, atol=1e-12)
    assert changed > 3


@_laws
@given(st.integers(0, 2**32 - 1))
def test_another_operation_changes_the_canonical_form(seed: int) -> None:
    # Every node is concatenated, so every edge counts: the multiset of operations changes.
    genotype = SPACE.sample(np.random.default_rng(seed))
    text = SPACE.canonical(genotype)
    for other in SPACE.neighbors(genotype):
        same_inputs = all(
            [i for _, i in getattr(genotype, cell)] == [i for _, i in getattr(other, cell)]
            for cell in ("normal", "reduce")
        )
        if same_inputs:
            assert SPACE.canonical(other) != text


V2 = PUBLISHED["DARTS_V2"]


def test_parts_that_cannot_reach_the_output_do_not_count() -> None:
    # Node 5 is neither concatenated nor read.
    partial = replace(V2, normal_concat=(2, 3, 4))
    other = replace(partial, normal=(*V2.normal[:6], ("sep_conv_5x5", 1), ("max_pool_3x3", 3)))
    assert SPACE.canonical(other) == SPACE.canonical(partial)
    assert SPACE.canonical(partial) != SPACE.canonical(V2)


def test_skip_connect_is_contracted_at_stride_1_and_is_an_operation_at_stride_2() -> None:
    # Node 3 is node 2 and nothing: reading either is the same.
    base = (("sep_conv_3x3", 0), ("sep_conv_5x5", 1), ("skip_connect", 2), ("none", 0))
    cells = [
        (*base, ("max_pool_3x3", n), ("none", 1), ("sep_conv_3x3", n), ("none", 0)) for n in (2, 3)
    ]
    first, second = (replace(V2, normal=cell) for cell in cells)
    assert SPACE.canonical(first) == SPACE.canonical(second)
    # In the reduction cell a skip from an input has weights, so it is never an identity.
    inputs = (("sep_conv_3x3", 0), ("skip_connect", 1))
    once = replace(V2, reduce=(*inputs, *inputs, *inputs, ("max_pool_3x3", 2), ("none", 0)))
    twice = replace(V2, reduce=(*inputs, *inputs, *inputs, ("max_pool_3x3", 3), ("none", 0)))
    assert SPACE.canonical(once) == SPACE.canonical(twice)  # nodes 2 and 3 are interchangeable
    assert "skip_connect/2(b)" in SPACE.canonical(once)
    assert "skip_connect" not in SPACE.canonical(replace(V2, reduce=V2.normal)).split("; ")[0]


def test_cell_inputs_are_not_interchangeable() -> None:
    mirrored = tuple((op, 1 - n if n < 2 else n) for op, n in V2.normal)
    assert SPACE.canonical(replace(V2, normal=mirrored)) != SPACE.canonical(V2)
    swapped = Genotype(V2.reduce, ALL, V2.normal, ALL)
    assert SPACE.canonical(swapped) != SPACE.canonical(V2)


def test_network_without_image_input_is_dead() -> None:
    nothing = (("none", 0), ("none", 1)) * 4
    for genotype in (
        replace(V2, normal=nothing),
        replace(V2, normal=nothing, reduce=nothing),
        # the reduction cell is blind and every normal cell reads only the cell before it
        replace(V2, normal=(("sep_conv_3x3", 1), ("none", 0)) * 4, reduce=nothing),
    ):
        assert SPACE.canonical(genotype) == "dead"
        network = SPACE.build(genotype, (3, 8, 8), 3, cells=5, channels=2).eval()
        logits = network(torch.randn(4, 3, 8, 8))
        assert torch.equal(logits, logits[:1].expand_as(logits))
    # A normal cell that reads the cell before the last steps over a blind reduction cell.
    alive = replace(V2, reduce=nothing)
    assert SPACE.canonical(alive) != "dead"
    network = SPACE.build(alive, (3, 8, 8), 3, cells=6, channels=2)
    logits = network(torch.randn(4, 3, 8, 8))
    assert not torch.allclose(logits, logits[:1].expand_as(logits))


@pytest.mark.parametrize("name", TEXTS)
def test_published_genotypes_parse_build_and_print_back(name: str) -> None:
    text = TEXTS[name]
    genotype = SPACE.parse(text)
    assert str(genotype) == text
    assert SPACE.parse(name) == SPACE.parse(name.lower().replace("-", "_")) == genotype
    for old in ("normal", "reduce"):
        text = text.replace(f"{old}_concat=[2, 3, 4, 5]", f"{old}_concat=range(2, 6)")
    assert "range" in text
    assert SPACE.parse(text.replace(", ", ",\n   ").replace("[", "(").replace("]", ")")) == genotype
    network = SPACE.build(genotype, (3, 32, 32), 10, cells=3, channels=4)
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("DARTS_V1", 3.2), ("DARTS_V2", 3.3), ("PC_DARTS", 3.6), ("P_DARTS", 3.4)],
)
def test_full_size_parameters_are_the_published_ones(name: str, millions: float) -> None:
    cost = SPACE.cost(PUBLISHED[name], (3, 32, 32), 10)
    assert round(cost.params / 1e6, 1) == millions
    with torch.device("meta"):
        network = SPACE.build(PUBLISHED[name], (3, 32, 32), 10)
    assert sum(p.numel() for p in network.parameters()) == cost.params


def test_all_trained_genotypes_parse_and_print_back(shared_data: Path) -> None:
    with (shared_data / "darts_trained.csv").open() as file:
        texts = [row["genotype"] for row in csv.DictReader(file)]
    assert len(texts) == 880
    rng = np.random.default_rng(0)
    for text in texts:
        genotype = SPACE.parse(text)
        assert str(genotype) == text
        assert SPACE.mutate(genotype, rng) != genotype


@_laws
@given(genotypes(), st.integers(0, 2**32 - 1))
def test_moves_are_valid_from_any_genotype(genotype: Genotype, seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert SPACE.parse(str(genotype)) == genotype
    neighbors = list(SPACE.neighbors(genotype))
    assert len(set(neighbors)) == len(neighbors)
    child = SPACE.mutate(genotype, rng)
    assert child in neighbors
    assert genotype not in neighbors
    assert SPACE.parse(str(SPACE.crossover(child, genotype, rng))) is not None


def test_numbers_of_genotypes_and_neighbors_are_those_of_the_formula() -> None:
    assert SPACE.size == (180 * 7**8) ** 2
    assert WITH_NONE.size == (180 * 8**8) ** 2
    rng = np.random.default_rng(0)
    # Operations: 16 edges, 6 others. Inputs: 0 + 2*1 + 2*2 + 2*3 for the nodes of each cell.
    assert len(list(SPACE.neighbors(SPACE.sample(rng)))) == 16 * 6 + 2 * 12


def test_sampled_and_mutated_inputs_are_different_and_ascending() -> None:
    rng = np.random.default_rng(0)
    genotype = SPACE.sample(rng)
    for _ in range(500):
        for cell in (genotype.normal, genotype.reduce):
            assert all(cell[2 * n][1] < cell[2 * n + 1][1] for n in range(4))
            assert all(operation != "none" for operation, _ in cell)
        genotype = SPACE.mutate(genotype, rng)


def test_sampling_is_uniform() -> None:
    rng = np.random.default_rng(0)
    samples = [SPACE.sample(rng) for _ in range(6000)]
    for cell in ("normal", "reduce"):
        for node, pairs in ((2, 1), (3, 3), (4, 6), (5, 10)):
            at = slice(2 * node - 4, 2 * node - 2)
            nodes = [getattr(genotype, cell)[at] for genotype in samples]
            inputs = Counter((a[1], b[1]) for a, b in nodes)
            assert len(inputs) == pairs
            if pairs > 1:
                assert stats.chisquare(list(inputs.values())).pvalue > 1e-3
            operations = Counter((a[0], b[0]) for a, b in nodes)
            assert len(operations) == 49
            assert stats.chisquare(list(operations.values())).pvalue > 1e-3


def test_operations_and_inputs_mutate_with_equal_probability() -> None:
    rng = np.random.default_rng(0)
    genotype = SPACE.sample(rng)
    inputs = 0
    for _ in range(2000):
        child = SPACE.mutate(genotype, rng)
        pairs = zip(genotype.normal + genotype.reduce, child.normal + child.reduce, strict=True)
        inputs += any(before[1] != after[1] for before, after in pairs)
    assert stats.binomtest(inputs, 2000, 0.5).pvalue > 1e-3


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (TEXTS["DARTS_V2"][:-1], "was never closed"),
        (TEXTS["DARTS_V2"].replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "normal[7]"),
        (TEXTS["DARTS_V2"].replace("'dil_conv_3x3'", "'dil_conv_7x7'"), "'dil_conv_7x7'"),
        (TEXTS["DARTS_V2"].replace("'dil_conv_3x3'", "['none']"), "normal[7]"),
        (TEXTS["DARTS_V2"].replace("('dil_conv_3x3', 2)", "'dil_conv_3x3'"), "normal[7]"),
        (TEXTS["DARTS_V2"].replace(", ('dil_conv_3x3', 2)", ""), "normal: expected 8 edges"),
        (TEXTS["DARTS_V2"].replace("0)", "True)"), "normal[0]"),
        (TEXTS["DARTS_V2"].replace("reduce_concat=[2", "reduce_concat=[1"), "reduce_concat"),
        (TEXTS["DARTS_V2"].replace("reduce_concat=[2, 3", "reduce_concat=[3, 3"), "different"),
        (TEXTS["DARTS_V2"].replace("[2, 3, 4, 5])", "range(2, 10**9))"), "range(2, 6)"),
        (TEXTS["DARTS_V2"].replace("[2, 3, 4, 5])", "open('x'))"), "reduce_concat"),
        (TEXTS["DARTS_V2"].replace("0)", "print(1))"), "normal: expected plain"),
        (TEXTS["DARTS_V2"].replace("normal=", "usual="), "unknown field 'usual'"),
        (TEXTS["DARTS_V2"].replace("Genotype", "Network"), "Network"),
        (TEXTS["DARTS_V2"].replace(", reduce_concat=[2, 3, 4, 5]", ""), "missing reduce_concat"),
        ("Genotype(**{})", "unknown field"),
        ("DARTS_V3", "DARTS_V2"),
        ("Genotype('\\d')", "backslash at character 11"),
        ("[" * 5000, ""),
        ("(" * 150 + ")" * 150, ""),
    ],
)
def test_errors_locate_malformed_genotypes(text: str, where: str) -> None:
    with pytest.raises(InputError) as caught:
        SPACE.parse(text)
    assert where in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("operations", [(), ("conv",), ("none", "none")])
def test_impossible_sets_of_operations_are_refused(operations: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        DartsSpace(operations)


def test_space_of_one_operation_mutates_inputs() -> None:
    space = DartsSpace(("max_pool_3x3",))
    rng = np.random.default_rng(0)
    genotype = space.sample(rng)
    assert space.mutate(genotype, rng) != genotype
