"""Network design spaces: published sizes, published networks, the laws of a space, every score."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError
from nas_search.features import graph_features
from nas_search.priors import FITTED
from nas_search.proxies import PROXIES
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.nds import CELL_FAMILIES, RESIDUAL_FAMILIES, NdsCellsSpace, NdsResidualSpace
from nas_search.spaces.nds.operations import operation
from nas_search.testing.spaces import SearchSpaceConformance
from tests.scoring.problem import task

SMALL = {"width_factor": 0.125, "depth_factor": 0.2}
CELL = (
    "normal=[('avg_pool_3x3', 0), ('conv_7x1_1x7', 1), ('sep_conv_3x3', 2), ('sep_conv_5x5', 0), "
    "('dil_sep_conv_3x3', 2), ('dil_sep_conv_3x3', 2), ('skip_connect', 4), "
    "('dil_sep_conv_3x3', 4), ('conv_7x1_1x7', 2), ('sep_conv_3x3', 4)], "
    "normal_concat=[3, 5, 6], "
    "reduce=[('avg_pool_3x3', 0), ('dil_sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 0), ('skip_connect', 2), ('sep_conv_7x7', 0), ('conv_7x1_1x7', 4), "
    "('skip_connect', 4), ('conv_7x1_1x7', 0), ('conv_7x1_1x7', 5)], reduce_concat=[3, 6]"
)
AMOEBA = f"Network(width=32, depth=12, genotype=Genotype({CELL}))"
"""A row of the published Amoeba.json, with the nodes that it concatenates."""

POOLED = AMOEBA.replace("('sep_conv_3x3', 4)]", "('max_pool_3x3', 4)]").replace(
    "('conv_7x1_1x7', 5)]", "('max_pool_3x3', 5)]"
)
"""The same with something beside batch-norm before the last pooling."""


class TestNdsCells(SearchSpaceConformance):
    space = NdsCellsSpace("darts")
    macro = SMALL
    fixed_shapes = False

    def genes(self, genotype: Any) -> Sequence[Hashable]:
        return (genotype.width, genotype.depth, *genotype.normal, *genotype.reduce)


class TestNdsAmoeba(TestNdsCells):
    space = NdsCellsSpace("amoeba")


class TestNdsResidual(SearchSpaceConformance):
    space = NdsResidualSpace("resnet")
    macro = SMALL
    fixed_shapes = False

    def genes(self, genotype: Any) -> Sequence[Hashable]:
        choices: tuple[str, ...] = genotype.choices
        return choices


class TestNdsResnext(TestNdsResidual):
    space = NdsResidualSpace("resnext_b")


@pytest.mark.parametrize(
    ("family", "operations", "billions"),
    [
        ("nasnet", 13, 71_465_842),
        ("amoeba", 8, 556_628),
        ("pnas", 8, 556_628),
        ("enas", 5, 5_063),
        ("darts", 8, 242),
    ],
)
def test_cell_families_have_the_published_sizes(
    family: str, operations: int, billions: int
) -> None:
    space = NdsCellsSpace(family)
    assert len(set(space.family.operations)) == operations
    assert math.floor(space.cell_size / 1e9 + 0.5) == billions
    assert space.size == 15 * space.cell_size**2


@pytest.mark.parametrize(
    ("family", "size"),
    [("resnet", 1_259_712), ("resnext_a", 11_390_625), ("resnext_b", 52_734_375)],
)
def test_residual_families_have_the_published_sizes(family: str, size: int) -> None:
    assert NdsResidualSpace(family).size == size


def test_resnet_56_has_the_published_parameters() -> None:
    # 0.856 M and 0.127 B multiplications bound the published comparisons: those of ResNet-56.
    space = NdsResidualSpace("resnet")
    cost = space.cost(space.parse("ds=9-9-9,ws=16-32-64"), (3, 32, 32), 10)
    assert cost.params == 855_770
    assert cost.macs == pytest.approx(0.127e9, rel=0.02)


def test_a_bottleneck_has_the_parameters_counted_by_hand() -> None:
    # One block per stage; 1x1 down, 3x3 in groups, 1x1 up, a 1x1 shortcut; batch-norm after each.
    space = NdsResidualSpace("resnext_a")
    text = "ds=1-1-1,ws=32-64-16,bot_muls=0.5-0.25-1,num_gs=2-4-1"
    genotype = space.parse(text)
    assert str(genotype) == text
    params = 3 * 16 * 9 + 2 * 16 + 16 * 10 + 10
    for inputs, outputs, inner, groups in ((16, 32, 16, 2), (32, 64, 16, 4), (64, 16, 16, 1)):
        params += inputs * inner + inner * inner // groups * 9 + inner * outputs + inputs * outputs
        params += 2 * (inner + inner + outputs + outputs)
    assert space.cost(genotype, (3, 32, 32), 10).params == params


def test_cells_of_darts_are_the_networks_of_the_darts_space() -> None:
    darts, space = DartsSpace(), NdsCellsSpace("darts")
    cell = darts.parse("DARTS_V2")
    genotype = space.parse(f"Network(width=36, depth=20, genotype={cell})")
    assert space.cost(genotype, (3, 32, 32), 10) == darts.cost(
        cell, (3, 32, 32), 10, cells=20, channels=36
    )
    small = space.parse(f"Network(width=4, depth=5, genotype={cell})")
    theirs = darts.build(cell, (3, 12, 12), 10, cells=5, channels=4).eval()
    ours = space.build(small, (3, 12, 12), 10).eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 12, 12)
    torch.testing.assert_close(ours(images), theirs(images))


def test_a_published_cell_concatenates_its_loose_ends() -> None:
    space = NdsCellsSpace("amoeba")
    genotype = space.parse(AMOEBA)
    assert str(genotype) == AMOEBA
    assert (genotype.normal_concat, genotype.reduce_concat) == ((3, 5, 6), (3, 6))
    with pytest.raises(InputError, match="expected nodes that no other reads, .3, 5, 6., got"):
        space.parse(AMOEBA.replace("normal_concat=[3, 5, 6]", "normal_concat=[2, 3, 4, 5, 6]"))


@pytest.mark.parametrize(
    "name", sorted({one for family in CELL_FAMILIES.values() for one in family.operations})
)
def test_operations_keep_sides_or_halve_them(name: str) -> None:
    if name == "none":
        return
    x = torch.randn(2, 4, 7, 10)
    assert operation(name, 4, 1)(x).shape == x.shape
    assert operation(name, 4, 2)(x).shape == (2, 4, 4, 5)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("conv_1x1", 16),
        ("conv_3x3", 9 * 16),
        ("conv_3x1_1x3", 6 * 16),
        ("conv_7x1_1x7", 14 * 16),
        ("sep_conv_7x7", 2 * (49 * 4 + 16)),
        ("dil_conv_3x3", 9 * 4 + 16),
        ("dil_sep_conv_3x3", 2 * (9 * 4 + 16)),
        ("max_pool_7x7", 0),
    ],
)
def test_operations_have_the_weights_of_their_names(name: str, weights: int) -> None:
    module = operation(name, 4, 1)
    assert sum(p.numel() for p in module.parameters() if p.dim() == 4) == weights
    assert ("MaxPool2d(kernel_size=7" in repr(module)) == (name == "max_pool_7x7")
    assert ("dilation=(2, 2)" in repr(module)) == name.startswith("dil")


def test_isomorphic_cells_have_one_canonical_form() -> None:
    space = NdsCellsSpace("amoeba")
    genotype = space.parse(AMOEBA)
    first = "('sep_conv_3x3', 2), ('sep_conv_5x5', 0)"
    swapped = "('sep_conv_5x5', 0), ('sep_conv_3x3', 2)"
    other = space.parse(AMOEBA.replace(first, swapped))
    assert other != genotype
    assert space.canonical(other) == space.canonical(genotype)
    rows = graph_features(space, [genotype, other]).values
    assert np.array_equal(rows[0], rows[1])
    for change in ({"width=32": "width=16"}, {"depth=12": "depth=8"}, {"5x5": "7x7"}):
        (old, new), *_ = change.items()
        assert space.canonical(space.parse(AMOEBA.replace(old, new))) != space.canonical(genotype)


def test_a_cell_without_a_path_is_dead() -> None:
    space = NdsCellsSpace("darts")
    none = [("none", 0)] * 8
    cell = f"normal={none}, normal_concat=range(2, 6), reduce={none}, reduce_concat=[2, 3, 4, 5]"
    text = f"Network(width=16, depth=4, genotype=Genotype({cell}))".replace(
        "range(2, 6)", "[2, 3, 4, 5]"
    )
    genotype = space.parse(text)
    assert space.canonical(genotype) == "dead"
    assert space.operation_graphs(genotype) == ((), ())


@pytest.mark.parametrize(
    ("space", "text", "said"),
    [
        (NdsCellsSpace("enas"), AMOEBA, r"normal\[1\]: unknown operation 'conv_7x1_1x7'; this"),
        (NdsCellsSpace("amoeba"), AMOEBA.replace("depth=12", "depth=2"), "depth: expected an int"),
        (NdsCellsSpace("darts"), AMOEBA, "normal: expected 8 edges, two for each of 4 nodes"),
        (NdsCellsSpace("amoeba"), AMOEBA.replace("1)", "2)", 1), r"normal\[1\]: node 2 reads"),
        (NdsResidualSpace("resnet"), "ds=1-2,ws=16-16-16", "ds: expected 3 values, one per stage"),
        (NdsResidualSpace("resnet"), "ds=1-2-2", "ws is missing; the keys are ds, ws"),
        (NdsResidualSpace("resnet"), "ds=1-2-0,ws=16-16-16", "ds: expected an integer of 1 to 64"),
        (NdsResidualSpace("resnet"), "num_gs=1-1-1", "cannot read 'num_gs=1-1-1'; write it like"),
        (
            NdsResidualSpace("resnext_a"),
            "ds=1-1-1,ws=16-16-16,bot_muls=1-1-1,num_gs=1-1-3",
            "stage 3: 3 groups do not divide a bottleneck of 16 channels",
        ),
    ],
)
def test_what_is_not_in_the_family_is_refused(space: Any, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        space.parse(text)
    assert "\n" not in str(caught.value)


def test_unknown_families_are_refused() -> None:
    with pytest.raises(InputError, match=r"family: unknown 'nasnett' \(did you mean .*nasnet"):
        NdsCellsSpace("nasnett")
    with pytest.raises(InputError, match="possible: resnet, resnext_a, resnext_b"):
        NdsResidualSpace("vanilla")
    assert set(RESIDUAL_FAMILIES) == {"resnet", "resnext_a", "resnext_b"}


def test_networks_beside_the_grid_move_into_it() -> None:
    space = NdsResidualSpace("resnet")
    odd = space.parse("ds=9-9-9,ws=16-32-72")
    neighbors = list(space.neighbors(odd))
    assert len(neighbors) == 3 * 9 + 2 * 11 + 12
    assert space.parse("ds=9-9-24,ws=16-32-72") in neighbors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "text"),
    [
        (NdsCellsSpace("amoeba"), POOLED),
        (NdsResidualSpace("resnext_a"), "ds=1-4-2,ws=32-64-128,bot_muls=0.5-1-0.25,num_gs=2-1-4"),
    ],
)
def test_every_score_is_a_number(space: Any, text: str) -> None:
    scores = tuple(one for one in PROXIES.names() if one not in FITTED)
    evaluation = task(space, proxies=scores).evaluate(space.parse(text))
    assert set(evaluation.scores) == set(scores), evaluation.reason
    assert all(map(math.isfinite, evaluation.scores.values()))
