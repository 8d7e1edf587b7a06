"""Mobile networks: published members to the parameter, any resolution, per-sample gradients."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from nas_search.core.errors import InputError
from nas_search.costs import COSTS, At
from nas_search.features import graph_features
from nas_search.gradients import GramSink, per_sample_backward
from nas_search.spaces.costs import count
from nas_search.spaces.mobilenet import MobilenetGenotype, MobilenetSpace
from nas_search.spaces.mobilenet.network import Mobilenet, divisible
from nas_search.testing.spaces import SearchSpaceConformance
from tests.commands.test_search_schema import compose
from tests.scoring.problem import task

V2 = "r1_k3_e1_c16|r2_k3_e6_c24|r3_k3_e6_c32|r4_k3_e6_c64|r3_k3_e6_c96|r3_k3_e6_c160|r1_k3_e6_c320"
B0 = (
    "r1_k3_e1_c16_se|r2_k3_e6_c24_se|r2_k5_e6_c40_se|r3_k3_e6_c80_se|r3_k5_e6_c112_se|"
    "r4_k5_e6_c192_se|r1_k3_e6_c320_se"
)
V3 = (
    "r1_k3_e1_c16|r1_k3_e4_c24|r1_k3_e3_c24|r3_k5_e3_c40_se|r1_k3_e6_c80|r1_k3_e2.5_c80|"
    "r2_k3_e2.3_c80|r2_k3_e6_c112_se|r3_k5_e6_c160_se"
)
LARGE = MobilenetSpace(
    strides=[1, 2, 1, 2, 2, 1, 1, 1, 2],
    widths=[[16], [24], [24], [40], [80], [80], [80], [112], [160]],
    depths=[1, 2, 3],
    kernels=[3, 5],
    expansions=[1, 2.3, 2.5, 3, 4, 6],
)
MEMBERS: dict[str, tuple[MobilenetSpace, str, dict[str, Any], int]] = {
    "mobilenet_v2": (MobilenetSpace(), V2, {}, 3_504_872),
    "efficientnet_b0": (MobilenetSpace(), B0, {"style": "efficientnet"}, 5_288_548),
    "mobilenet_v3_large": (LARGE, V3, {"stem": 16, "style": "v3"}, 5_483_032),
}


class TestMobilenet(SearchSpaceConformance):
    space = MobilenetSpace()
    macro = {"stem": 8, "head": 8, "multiplier": 0.1}  # noqa: RUF012
    fixed_shapes = False

    def genes(self, genotype: Any) -> Sequence[Hashable]:
        choices: tuple[str, ...] = genotype.choices
        return choices


class TestMobilenetV3(TestMobilenet):
    space = LARGE
    macro = {"stem": 8, "head": 8, "multiplier": 0.1, "style": "v3", "reduction": 2}  # noqa: RUF012


def torchvisions(name: str) -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = getattr(torchvision.models, name)()
    return model


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("side", [224, 96])
def test_published_members_have_the_parameters_and_macs_of_torchvisions(
    name: str, side: int
) -> None:
    space, text, macro, params = MEMBERS[name]
    genotype = space.parse(text)
    assert str(genotype) == text
    theirs = count(torchvisions(name), (3, side, side))
    ours = space.cost(genotype, (3, side, side), 1000, **macro)
    assert ours == theirs
    assert ours.params == params
    if (name, side) == ("mobilenet_v2", 224):
        assert ours.macs == pytest.approx(300.8e6, rel=1e-3)


@pytest.mark.parametrize("name", MEMBERS)
def test_published_members_compute_what_torchvisions_do(name: str) -> None:
    # The same layers in the same order: with its weights, theirs and ours agree in every logit.
    space, text, macro, _ = MEMBERS[name]
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(num_classes=5).eval()
    ours = space.build(space.parse(text), (3, 64, 64), 5, **{**macro, "reduction": 32}).eval()
    state = list(theirs.state_dict().values())
    own = ours.state_dict()
    assert [value.shape for value in own.values()] == [value.shape for value in state]
    ours.load_state_dict(dict(zip(own, state, strict=True)))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("side", "last"),
    [(224, 7), (96, 3), (64, 4), (32, 4), (28, 4), (16, 4), (8, 4), (5, 3), (3, 3)],
)
def test_the_last_maps_have_three_rows_or_more(side: int, last: int) -> None:
    space = MobilenetSpace()
    with torch.device("meta"):
        network = space.build(space.parse(V2), (3, side, side), 10)
        assert isinstance(network, Mobilenet)
        x = network.stem(torch.empty(1, 3, side, side))
        for cell in network.cells:
            x = cell(x)
    assert x.shape[-2:] == (last, last)


def test_channels_are_rounded_as_published() -> None:
    assert [divisible(x, 8) for x in (3, 12, 44.8, 184, 58, 11.9)] == [8, 16, 48, 184, 56, 16]


@pytest.mark.parametrize("style", ["v2", "v3", "efficientnet"])
def test_per_sample_gradients_are_those_of_the_loop(style: str) -> None:
    space = MobilenetSpace(
        strides=[2, 2], widths=[[8, 16]] * 2, depths=[1, 2], kernels=[3, 5], expansions=[1, 3]
    )
    macro = {"stem": 8, "head": 12, "style": style, "reduction": 4}
    torch.manual_seed(0)
    network = space.build(space.parse("r2_k3_e3_c8_se|r2_k5_e1_c16_se"), (3, 16, 16), 4, **macro)
    network = network.double()
    images, labels = torch.randn(5, 3, 16, 16).double(), torch.arange(5) % 4
    grams = {}
    for way in ("fast", "one_by_one"):
        sink = GramSink()
        chosen: Any = {} if way == "fast" else {"way": way}
        per_sample_backward(
            network, images, labels, [sink], normalization="frozen", parameters="all", **chosen
        )
        grams[way] = sink.grams
    assert set(grams["fast"]) == {name for name, _ in network.named_parameters()}
    for name, gram in grams["one_by_one"].items():
        torch.testing.assert_close(grams["fast"][name], gram, rtol=1e-8, atol=1e-12)


def test_scores_of_relus_look_at_relu6() -> None:
    space = MobilenetSpace()
    scores = ("naswot", "swap", "linear_regions")
    evaluation = task(space, proxies=scores).evaluate(space.parse(V2))  # it has no other
    assert set(evaluation.scores) == set(scores)
    assert evaluation.scores["linear_regions"] > 1


def test_features_tell_totals_and_stages() -> None:
    space = MobilenetSpace()
    features = graph_features(space, [V2])
    row = dict(zip(features.names, features.values[0].tolist(), strict=True))
    assert row["sum[depth]"] == 17
    assert (row["width4"], row["expansion1"], row["kernel7"], row["sum[se]"]) == (64, 1, 3, 0)


def test_drop_path_drops_residual_branches_alone() -> None:
    space = MobilenetSpace()
    with torch.device("meta"):
        network = space.build(space.parse(V2), (3, 32, 32), 10)
    assert len(space.droppable(network)) == 10  # 17 blocks, of which 7 change the shape


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            V2.replace("r1_k3_e1_c16", "r1_k3_e1_c18"),
            "stage 1: width '18' is not among its choices 8",
        ),
        (V2.replace("k3_e6_c320", "k3_c320"), "stage 7: cannot read 'r1_k3_c320'"),
        ("r1_k3_e1_c16|r2_k3_e6_c24", "expected 7 stages joined by '|', got 2"),
    ],
)
def test_wrong_texts_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        MobilenetSpace().parse(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strides": [1, 3]}, "search_space.strides: expected 1 or 2 per stage"),
        ({"strides": [1, 2]}, "search_space.widths: expected a list per stage, 2 of them, got 7"),
        ({"kernels": [3, 4]}, "search_space.kernels: sides must be odd"),
        ({"depths": []}, "search_space.depths: expected different values"),
        ({"depths": [0, 1]}, "search_space.depths must be an integer of at least 1"),
        ({"expansions": [0.5, 1]}, "search_space.expansions: must be 1 to 64"),
        ({"se": [True, True]}, "search_space.se: expected different values"),
    ],
)
def test_impossible_choices_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        MobilenetSpace(**options)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("macro", "said"),
    [
        ({"style": "v4"}, "unknown style 'v4'; possible: v2, v3, efficientnet"),
        ({"reduction": 3}, "reduction=3 must be a power of two, at most 32"),
        ({"reduction": 64}, "reduction=64 must be a power of two"),
        ({"multiplier": 0}, "multiplier must be more than 0"),
    ],
)
def test_impossible_sizes_are_refused(macro: dict[str, Any], said: str) -> None:
    space = MobilenetSpace()
    with pytest.raises(InputError) as caught:
        space.build(space.parse(V2), (3, 96, 96), 10, **macro)
    assert said in str(caught.value)


def test_the_tiny_preset_fits_a_microcontroller() -> None:
    config = compose("experiment=mobilenet_tiny", "dataset.size=8")
    at = At((3, 96, 96), 10, config.macro, dtype="int8")
    rng = np.random.default_rng(0)
    flash = [COSTS.get("flash").cost(config.space, config.space.sample(rng), at) for _ in range(12)]
    assert config.constraints.bounds == {"max_flash": 800_000}
    assert config.constraints.at == {"input_size": 96, "dtype": "int8"}
    within = sum(value <= 800_000 for value in flash)
    assert 0 < within < 12  # the bound has something to say, and leaves a choice


def test_a_genotype_stays_itself_when_its_fields_are_replaced() -> None:
    genotype = MobilenetSpace().parse(V2)
    assert isinstance(genotype, MobilenetGenotype)
    assert replace(genotype) == genotype
