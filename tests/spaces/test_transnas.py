"""Both spaces of TransNAS-Bench-101: their members, their sizes, and what the table says."""

import csv
import itertools
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nas_search.core.errors import InputError
from nas_search.spaces.four_nodes import EDGES
from nas_search.spaces.operations import FactorizedReduce
from nas_search.spaces.transnas import (
    TransnasMacroGenotype,
    TransnasMacroSpace,
    TransnasMicroGenotype,
    TransnasMicroSpace,
)
from nas_search.spaces.transnas.cell import OPERATIONS, TransnasCell
from nas_search.spaces.transnas.skeleton import TransnasMacro, blocks_of

MICRO, MACRO = TransnasMicroSpace(), TransnasMacroSpace()
CELLS = [TransnasMicroGenotype(row) for row in itertools.product(OPERATIONS, repeat=6)]
FULL = ((3, 256, 256), 75)


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[dict[str, str]]:
    with (shared_data / "transnas101.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def skeletons() -> set[TransnasMacroGenotype]:
    """All that moves reach from one."""
    found = {MACRO.parse("64-1234-basic")}
    new = set(found)
    while new:
        new = {other for one in new for other in MACRO.neighbors(one)} - found
        found |= new
    return found


def test_there_are_4096_cells_and_3256_skeletons(skeletons: set[TransnasMacroGenotype]) -> None:
    assert MICRO.size == len({str(cell) for cell in CELLS}) == 4096
    assert all(MICRO.parse(str(cell)) == cell for cell in CELLS)
    assert MACRO.size == len(skeletons) == len({str(one) for one in skeletons}) == 3256
    assert all(MACRO.parse(str(one)) == one for one in skeletons)
    assert Counter(len(one.modules) for one in skeletons) == {4: 210, 5: 750, 6: 2296}


def test_all_rows_of_the_table_are_read(
    rows: list[dict[str, str]], skeletons: set[TransnasMacroGenotype]
) -> None:
    for row in rows:
        space = MICRO if row["space"] == "micro" else MACRO
        genotype = space.parse(row["arch"])
        assert str(genotype) == row["arch"]
        assert row["space"] == "micro" or genotype in skeletons


def test_the_readme_of_the_benchmark_explains_its_texts() -> None:
    edges = dict(zip(EDGES, MICRO.parse("64-41414-1_02_333").choices, strict=True))
    assert edges == {
        (0, 1): "skip_connect",
        (0, 2): "none",
        (1, 2): "nor_conv_1x1",
        **{(source, 3): "nor_conv_3x3" for source in (0, 1, 2)},
    }
    skeleton = MACRO.parse("64-1234-basic")
    labels = [edge.label for edge in MACRO.graphs(skeleton)[0].edges]
    assert labels == ["normal", "double", "halve", "double_and_halve"]
    features = dict(zip(MACRO.numbers, MACRO.described(skeleton), strict=True))
    assert [features[name] for name in ("modules", "doublings", "halvings")] == [4, 2, 2]
    assert [features[f"doublings_by[{i}]"] for i in range(1, 7)] == [0, 1, 1, 2, 2, 2]
    assert [features[f"module_of_halving[{i}]"] for i in range(1, 5)] == [3, 4, 7, 7]
    assert [features[f"modules_after_halvings[{i}]"] for i in range(5)] == [2, 1, 1, 0, 0]
    assert (features["work"], features["width"]) == (1 + 4 + 1 + 1, 1 + 4 + 4 + 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1_02_333", "begins with 64-41414-"),
        ("32-41414-1_02_333", "begins with 64-41414-"),
        ("64-41414-1_02_334", "operations of three nodes, 0 to 3 each"),
        ("64-41414-1_02_33", "operations of three nodes"),
    ],
)
def test_what_is_no_cell_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MICRO.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64-123-basic", "4 to 6 modules, not 3"),
        ("64-1234123-basic", "4 to 6 modules, not 7"),
        ("64-1113-basic", "1 to 3 of its modules double .* not 0"),
        ("64-2224-basic", "double .* not 4"),
        ("64-2211-basic", "1 to 4 of its modules halve .* not 0"),
        ("64-33333-basic", "double .* not 0"),
        ("64-333334-basic", "halve the image .* not 6"),
        ("64-1235-basic", r"its modules are 1 \(normal\), 2 \(double\)"),
        ("64-41414-1_02_333", "64-MODULES-basic"),
    ],
)
def test_what_is_no_skeleton_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MACRO.parse(text)


def test_skeletons_are_drawn_uniformly() -> None:
    rng = np.random.default_rng(0)
    lengths = Counter(len(MACRO.sample(rng).modules) for _ in range(4000))
    expected = {4: 210, 5: 750, 6: 2296}
    assert (
        sum((lengths[k] - n * 4000 / 3256) ** 2 / (n * 4000 / 3256) for k, n in expected.items())
        < 14
    )


def test_published_networks_have_the_sizes_of_the_paper() -> None:
    # Stem to 64 x 64 pixels; three halvings leave 8 x 8; channels 64 to 512.
    blocks = blocks_of("41414", FULL[0], TransnasMacro())
    assert [block.outputs for block in blocks] == [128] * 4 + [256] * 4 + [512] * 2
    assert [block.sides[0] for block in blocks] == [64, 32, 32, 32, 32, 16, 16, 16, 16, 8]
    with torch.device("meta"):
        network = MICRO.build(MICRO.parse("64-41414-3_33_333"), *FULL)
        block = MACRO.build(MACRO.parse("64-1224-basic"), *FULL).get_submodule("cells.2")
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 2 + 10 * 6
    by_hand = 3 * 32 * 9 + 32 * 64 * 9 + 2 * (32 + 64) + 512 * 75 + 75
    for before, after in [(64, 128), (128, 128), (128, 128), (128, 128), (128, 256),
                          (256, 256), (256, 256), (256, 256), (256, 512), (512, 512)]:  # fmt: skip
        by_hand += 3 * (9 * before * after + 9 * after * after + 2 * 2 * after)
    assert MICRO.cost(MICRO.parse("64-41414-3_33_333"), *FULL).params == by_hand
    shortcut = 64 * 128 + 2 * 128
    by_hand = 9 * 64 * 128 + 2 * 128 + 9 * 128 * 128 + 2 * 128 + shortcut
    assert sum(p.numel() for p in block.parameters()) == by_hand


def test_a_cell_is_the_sum_that_its_text_says() -> None:
    torch.manual_seed(0)
    cell = MICRO.parse("64-41414-1_23_310")
    (block,) = blocks_of("4", (3, 16, 16), TransnasMacro(4, 0))[:1]
    network = TransnasCell(cell.choices, block).eval()
    x = torch.randn(2, 4, 16, 16)
    get = network.get_submodule
    assert isinstance(get("node1_from0_skip_connect"), FactorizedReduce)
    one = get("node1_from0_skip_connect")(x)
    two = get("node2_from0_nor_conv_1x1")(x) + get("node2_from1_nor_conv_3x3")(one)
    three = get("node3_from0_nor_conv_3x3")(x) + one
    torch.testing.assert_close(network(x), three)
    assert two.shape == three.shape == (2, 8, 8, 8)  # node 2 is dead: nothing reads it
    assert len(list(network.children())) == 5


def test_classes_of_cells_are_those_of_brute_force() -> None:
    assert len({MICRO.canonical(cell) for cell in CELLS}) == 1376
    assert sum(MICRO.canonical(cell) == "dead" for cell in CELLS) == 169
    some = CELLS[::7]
    pairs = {(MICRO.canonical(cell), brute_force_key(cell)) for cell in some}
    assert len(pairs) == len({key for key, _ in pairs}) == len({key for _, key in pairs}) > 250


def brute_force_key(cell: TransnasMicroGenotype) -> object:
    """Isomorphism class by permutations; a skip is an operation where it starts at the input."""
    paths: dict[int, list[object]] = {0: ["x"], 1: [], 2: [], 3: []}
    applied: dict[object, tuple[str, list[object]]] = {}
    for edge, ((source, target), name) in enumerate(zip(EDGES, cell.choices, strict=True)):
        if name == "none" or not paths[source]:
            continue
        if name == "skip_connect" and source:
            paths[target] = paths[target] + paths[source]
        else:
            applied[edge] = (name, paths[source])
            paths[target] = [*paths[target], edge]
    needed = set(paths[3])
    for one in sorted(applied, reverse=True, key=str):
        if one in needed:
            needed |= set(applied[one][1])
    live = [one for one in applied if one in needed]
    forms = []
    for names in itertools.permutations(range(len(live))):
        name_of = {"x": "x", **{e: str(n) for e, n in zip(live, names, strict=True)}}
        facts = sorted(
            (name_of[e], applied[e][0], *sorted(name_of[t] for t in applied[e][1])) for e in live
        )
        forms.append((facts, sorted(name_of[t] for t in paths[3])))
    return repr(min(forms)) if paths[3] else "dead"


def test_cells_of_one_network_were_trained_alike(rows: list[dict[str, str]]) -> None:
    groups = defaultdict(list)
    for row in rows:
        if row["space"] == "micro":
            score = float(row["class_scene__test_top1"])
            groups[MICRO.canonical(MICRO.parse(row["arch"]))].append(score)
    same = [np.ptp(one) for key, one in groups.items() if len(one) > 1 and key != "dead"]
    every = [score for one in groups.values() for score in one]
    assert len(same) > 150
    assert np.median(same) < 0.1 * np.std(every)  # .56 of 12.97 points


def test_small_images_end_at_two_pixels() -> None:
    for text in ("64-3334-basic", "64-1444-basic"):
        network = MACRO.build(MACRO.parse(text), (3, 16, 16), 5, channels=2, stem_halvings=2)
        maps: list[torch.Size] = []
        network.get_submodule("head.1").register_forward_hook(
            lambda _, inputs, __, maps=maps: maps.append(inputs[0].shape[2:])
        )
        assert network(torch.randn(2, 3, 16, 16)).shape == (2, 5)
        assert maps == [(2, 2)]


@pytest.mark.parametrize("value", [3, -1, "2", True])
def test_impossible_halvings_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="stem_halvings must be"):
        MICRO.build(CELLS[-1], (3, 16, 16), 5, stem_halvings=value)


def test_without_the_last_relu_single_images_have_nothing_to_pool() -> None:
    cell = MICRO.parse("64-41414-3_33_333")
    published = {"channels": 2, "stem_halvings": 0}
    sizes = [published, {**published, "last_relu": True}]
    costs = {MICRO.cost(cell, (3, 16, 16), 5, **macro) for macro in sizes}
    assert len(costs) == 1
    pooled = []
    for macro in sizes:
        network = MICRO.build(cell, (3, 16, 16), 5, **macro)
        network.get_submodule("head.2").register_forward_hook(lambda *a: pooled.append(a[2]))
        network(torch.randn(1, 3, 16, 16))
    assert pooled[0].abs().max() < 1e-5 < 1e-2 < pooled[1].abs().max()
    with pytest.raises(InputError, match="last_relu must be true or false"):
        MICRO.build(cell, (3, 16, 16), 5, last_relu=1)
