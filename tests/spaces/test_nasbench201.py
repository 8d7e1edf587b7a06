import csv
import itertools
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from nas_search.core.errors import InputError
from nas_search.spaces.four_nodes import EDGES
from nas_search.spaces.nasbench201 import Nasbench201Genotype, Nasbench201Space
from nas_search.spaces.nasbench201.network import OPERATIONS, Nasbench201Cell

SPACE = Nasbench201Space()
ALL = [Nasbench201Genotype(ops) for ops in itertools.product(OPERATIONS, repeat=6)]
CONV1, CONV3, AVG, SKIP, NONE = (
    "nor_conv_1x1",
    "nor_conv_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "none",
)


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[dict[str, str]]:
    with (shared_data / "nasbench201.csv").open() as file:
        return list(csv.DictReader(file))


def published_key(cell: Nasbench201Genotype) -> str:
    """The benchmark's string rule: zeros propagate along edges, sums are sorted strings."""
    nodes = ["0", "", "", ""]
    for target in (1, 2, 3):
        terms = []
        for (source, into), operation in zip(EDGES, cell.operations, strict=True):
            if into != target:
                continue
            if operation == NONE or nodes[source] == "#":
                terms.append("#")
            elif operation == SKIP:
                terms.append(nodes[source])
            else:
                terms.append(f"({nodes[source]})@{operation}")
        nodes[target] = "+".join(sorted(terms))
    return nodes[3]


def brute_force_key(cell: Nasbench201Genotype) -> object:
    """Isomorphism class by permutations of applied edges, independent of the package."""
    paths: dict[int, list[object]] = {0: ["x"], 1: [], 2: [], 3: []}
    applied: dict[int, tuple[str, list[object]]] = {}
    for edge, ((source, target), operation) in enumerate(zip(EDGES, cell.operations, strict=True)):
        if operation == NONE or not paths[source]:
            continue
        if operation == SKIP:
            paths[target] = paths[target] + paths[source]
        else:
            applied[edge] = (operation, paths[source])
            paths[target] = [*paths[target], edge]
    needed: set[object] = set(paths[3])
    for edge in sorted(applied, reverse=True):
        if edge in needed:
            needed |= set(applied[edge][1])
    live = [edge for edge in applied if edge in needed]
    forms = []
    for names in itertools.permutations(range(len(live))):
        name: dict[object, str] = {
            "x": "x",
            **{e: str(n) for e, n in zip(live, names, strict=True)},
        }
        facts = sorted(
            (name[e], applied[e][0], *sorted(name[t] for t in applied[e][1])) for e in live
        )
        forms.append((facts, sorted(name[t] for t in paths[3])))
    return repr(min(forms))


@pytest.fixture(scope="module")
def classes() -> dict[str, list[Nasbench201Genotype]]:
    found = defaultdict(list)
    for cell in ALL:
        found[SPACE.canonical(cell)].append(cell)
    return found


def test_space_has_15625_cells() -> None:
    assert SPACE.size == len(ALL) == 15625


@pytest.mark.slow
def test_5425_classes_equal_those_of_brute_force(
    classes: dict[str, list[Nasbench201Genotype]],
) -> None:
    assert len(classes) == 5425
    assert len(classes["dead"]) == 341
    exact = {cell: brute_force_key(cell) for cell in ALL}
    assert len(set(exact.values())) == 5425
    assert all(len({exact[cell] for cell in members}) == 1 for members in classes.values())


def test_published_rule_has_6466_classes_and_merges_different_networks() -> None:
    published = defaultdict(set)
    for cell in ALL:
        published[published_key(cell)].add(SPACE.canonical(cell))
    assert len(published) == 6466
    # One 3x3 convolution used twice, against two of them: 1 set of weights against 2.
    shared = Nasbench201Genotype((CONV3, SKIP, SKIP, NONE, SKIP, CONV1))
    shared_twice = Nasbench201Genotype((CONV3, NONE, SKIP, NONE, SKIP, SKIP))
    computed_twice = Nasbench201Genotype((CONV3, CONV3, NONE, NONE, SKIP, SKIP))
    assert published_key(shared_twice) == published_key(computed_twice)
    assert SPACE.canonical(shared_twice) != SPACE.canonical(computed_twice)
    assert SPACE.canonical(shared) not in (
        SPACE.canonical(shared_twice),
        SPACE.canonical(computed_twice),
    )
    assert sum(len(ours) > 1 for ours in published.values()) > 100


def cell_module(cell: Nasbench201Genotype) -> Nasbench201Cell:
    """The cell in float64 with random weights and scales; shifts are zero, as at initialization."""
    module = Nasbench201Cell(cell.operations, 2).double().eval()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.5, 2.0)
            part.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    return module


def has_gradient(part: torch.nn.Sequential) -> bool:
    return any(
        p.dim() == 4 and p.grad is not None and bool(p.grad.any()) for p in part.parameters()
    )


def same_function(first: Nasbench201Genotype, second: Nasbench201Genotype) -> bool:
    """Whether some matching of live convolutions carries one cell's weights to an equal function.

    Live is a convolution whose weight receives a gradient; nothing here knows of certificates.
    """
    torch.manual_seed(0)
    images = torch.randn(2, 2, 4, 4, dtype=torch.float64)
    modules = [cell_module(first), cell_module(second)]
    live: list[list[tuple[str, torch.nn.Sequential]]] = []
    outputs = []
    for module in modules:
        output = module(images)
        outputs.append(output.detach())
        if output.requires_grad:
            output.square().sum().backward()
        live.append(
            [
                (name.split("from")[1][2:], part)
                for name, part in module.named_children()
                if isinstance(part, torch.nn.Sequential) and has_gradient(part)
            ]
        )
    source, target = live
    if Counter(op for op, _ in source) != Counter(op for op, _ in target):
        return False
    for order in itertools.permutations(range(len(source))):
        if any(source[i][0] != target[j][0] for j, i in enumerate(order)):
            continue
        for j, i in enumerate(order):
            target[j][1].load_state_dict(source[i][1].state_dict())
        with torch.no_grad():
            if torch.allclose(modules[1](images), outputs[0], rtol=1e-9, atol=1e-12):
                return True
    return False


def test_equal_canonical_forms_compute_the_same_with_weights_carried_over(
    classes: dict[str, list[Nasbench201Genotype]],
) -> None:
    rng = np.random.default_rng(0)
    several = [members for members in classes.values() if len(members) > 1]
    for index in rng.choice(len(several), size=80, replace=False):
        members = several[index]
        first, second = (members[i] for i in rng.choice(len(members), size=2, replace=False))
        assert same_function(first, second), (first, second)


def test_different_canonical_forms_compute_different_functions() -> None:
    # Without pooling, whose arithmetic identities are not relabelings. The hardest pairs: those
    # that the published rule takes for one, and neighbors.
    published: dict[str, dict[str, Nasbench201Genotype]] = defaultdict(dict)
    for cell in ALL:
        if AVG not in cell.operations:
            published[published_key(cell)].setdefault(SPACE.canonical(cell), cell)
    merged = [list(ours.values()) for ours in published.values() if len(ours) > 1]
    rng = np.random.default_rng(1)
    pairs = [tuple(cells[:2]) for cells in merged]
    pairs = [pairs[i] for i in rng.choice(len(pairs), size=min(40, len(pairs)), replace=False)]
    for _ in range(80):
        cell = SPACE.sample(rng)
        other = SPACE.mutate(cell, rng)
        if AVG not in (*cell.operations, *other.operations):
            pairs.append((cell, other))
    different = 0
    for first, second in pairs:
        same = SPACE.canonical(first) == SPACE.canonical(second)
        assert same_function(first, second) == same, (first, second)
        different += not same
    assert different > 40


def test_every_row_parses_and_prints_back(rows: list[dict[str, str]]) -> None:
    texts = [row["arch_str"] for row in rows]
    cells = [SPACE.parse(text) for text in texts]
    assert [str(cell) for cell in cells] == texts
    assert set(cells) == set(ALL)


def test_parameters_equal_those_of_the_table(rows: list[dict[str, str]]) -> None:
    for row in rows:
        params = SPACE.cost(SPACE.parse(row["arch_str"]), (3, 32, 32), 10).params
        # The table rounds to 6 significant digits.
        assert float(f"{params / 1e6:.6g}") == float(row["params_M"]), row["arch_str"]


def test_cost_with_the_benchmarks_extras_equals_that_of_the_table(
    rows: list[dict[str, str]],
) -> None:
    # Elements of one node in all 15 cells: 5 in each stage, 16x32x32, 32x16x16, 64x8x8.
    elements = 5 * (16 * 32 * 32 + 32 * 16 * 16 + 64 * 8 * 8)
    extra = {NONE: 0, SKIP: 0, CONV1: 3 * elements, CONV3: 3 * elements, AVG: 9 * elements}
    # The table's count of the skeleton is 7.943872 M, ours of its convolutions and classifier:
    skeleton = SPACE.cost(Nasbench201Genotype((NONE,) * 6), (3, 32, 32), 10).macs
    assert skeleton == 7_783_040
    for row in rows:
        cell = SPACE.parse(row["arch_str"])
        flops = SPACE.cost(cell, (3, 32, 32), 10).macs - skeleton + 7_943_872
        flops += sum(extra[operation] for operation in cell.operations)
        assert float(f"{flops / 1e6:.6g}") == float(row["flops_M"]), row["arch_str"]


def test_cost_of_one_edge_equals_that_of_the_paper() -> None:
    empty = SPACE.cost(Nasbench201Genotype((NONE,) * 6), (3, 32, 32), 10)
    one = SPACE.cost(Nasbench201Genotype((CONV3, *(NONE,) * 5)), (3, 32, 32), 10)
    # 5 cells a stage: 9 C^2 weights and 2 C of batch-norm; 9 C^2 H W multiply-adds.
    assert one.params - empty.params == 5 * sum(9 * c * c + 2 * c for c in (16, 32, 64))
    assert one.macs - empty.macs == 5 * 3 * 9 * 16 * 16 * 32 * 32


def test_sampling_is_uniform() -> None:
    rng = np.random.default_rng(0)
    index = {name: i for i, name in enumerate(OPERATIONS)}
    draws = np.array([[index[o] for o in SPACE.sample(rng).operations] for _ in range(20_000)])
    for edge in range(6):  # each edge alone, and each with the next one
        pairs = draws[:, edge] * 5 + draws[:, (edge + 1) % 6]
        assert stats.chisquare(np.bincount(draws[:, edge], minlength=5)).pvalue > 1e-3
        assert stats.chisquare(np.bincount(pairs, minlength=25)).pvalue > 1e-3


def test_mutation_is_uniform_over_the_24_neighbors() -> None:
    rng = np.random.default_rng(0)
    cell = ALL[7321]
    counts = Counter(SPACE.mutate(cell, rng) for _ in range(4800))
    assert set(counts) == set(SPACE.neighbors(cell))
    assert len(counts) == 24
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("|none~0|+|none~0|none~1|", "3 nodes"),
        ("none~0+|none~0|none~1|+|none~0|none~1|none~2|", "node 1"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2: expected 2"),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "node 2, edge 2"),
        ("|none~0|+|none~0|none~1|+|none~0|conv~1|none~2|", "edge 1->3: unknown operation 'conv'"),
        ("|none~0|+|none~0|none~1|+|none|none~1|none~2|", "node 3, edge 1"),
    ],
)
def test_errors_locate_malformed_cells(text: str, where: str) -> None:
    with pytest.raises(InputError) as caught:
        SPACE.parse(text)
    assert where in str(caught.value)
