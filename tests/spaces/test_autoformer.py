"""Vision transformers: sizes as in the authors' tables, relative positions, moves, refusals."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.features import graph_features
from nas_search.gradients import GramSink, per_sample_backward
from nas_search.scoring import ScoringTask
from nas_search.spaces.autoformer import AutoformerSpace
from nas_search.spaces.autoformer.genotype import Autoformer, Layer
from nas_search.spaces.autoformer.network import Attention, distances
from nas_search.spaces.autoformer.space import SUPERNETS
from nas_search.testing.spaces import SearchSpaceConformance

SMALL = AutoformerSpace(depth=[1, 2, 3], embed_dim=[6, 8], mlp_ratio=[1, 1.5], num_heads=[1, 2])
HEADS = AutoformerSpace(depth=[2], embed_dim=[6], mlp_ratio=[1], num_heads=[3, 4])
"""As many heads as the published networks have."""


class TestAutoformer(SearchSpaceConformance):
    space = SMALL
    macro = {"patch_size": 3}  # noqa: RUF012
    fixed_shapes = False

    def genes(self, genotype: Any) -> Sequence[Hashable]:
        missing = [None] * (3 - len(genotype.layers))
        ratios = [layer.mlp_ratio for layer in genotype.layers]
        heads = [layer.heads for layer in genotype.layers]
        return [genotype.embed_dim, *ratios, *missing, *heads, *missing]


def test_published_spaces_have_the_parameters_of_their_tables(shared_data: Path) -> None:
    with (shared_data / "autoformer.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1514
    spaces = {name: AutoformerSpace(name) for name in SUPERNETS}
    for row in rows:
        text = ",".join(f"{name}={row[name]}" for name in ("embed_dim", "mlp_ratio", "num_heads"))
        space = spaces[row["supernet"]]
        genotype = space.parse(text)
        assert len(genotype.layers) == int(row["layer_num"])
        params = space.cost(genotype, (3, 224, 224), 1000, patch_size=16).params
        assert params == round(float(row["params_M"]) * 1e6)


def test_attention_is_that_of_its_definition() -> None:
    torch.manual_seed(0)
    rows, columns, heads = 2, 17, 2  # farther apart than the table's ends
    attention = Attention(6, heads).double()
    between = distances(rows, columns, torch.device("cpu"))
    x = torch.randn(1, 1 + rows * columns, 6, dtype=torch.float64)
    qkv = attention.qkv(x)[0].unflatten(-1, (3, heads, 64))
    places = [None, *((i, j) for i in range(rows) for j in range(columns))]

    def vector(positions: Any, one: Any, other: Any) -> Tensor:
        if one is None or other is None:
            index = [0, 0]
        else:
            index = [max(-14, min(14, b - a)) + 15 for a, b in zip(one, other, strict=True)]
        vertical: Tensor = positions.vertical.weight[index[0]]
        horizontal: Tensor = positions.horizontal.weight[index[1]]
        return vertical + horizontal

    expected = []
    for query, here in enumerate(places):
        taken = []
        for head in range(heads):
            q = qkv[query, 0, head]
            keys = [
                qkv[key, 1, head] + vector(attention.keys, here, there)
                for key, there in enumerate(places)
            ]
            shares = torch.stack([q @ key / 8 for key in keys]).softmax(0)
            values = [
                qkv[key, 2, head] + vector(attention.values, here, there)
                for key, there in enumerate(places)
            ]
            taken.append(shares @ torch.stack(values))
        expected.append(attention.proj(torch.cat(taken)))
    torch.testing.assert_close(attention(x, between)[0], torch.stack(expected))


def test_gradients_by_sample_are_those_of_a_loop() -> None:
    genotype = SMALL.sample(np.random.default_rng(1))
    torch.manual_seed(0)
    network = SMALL.build(genotype, (3, 8, 8), 4, patch_size=4).double()
    images, labels = torch.randn(5, 3, 8, 8, dtype=torch.float64), torch.arange(5) % 4
    sink = GramSink()
    per_sample_backward(network, images, labels, [sink], normalization="frozen")
    weights = {n: p for n, p in network.named_parameters() if p.dim() > 1}
    assert set(sink.grams) == {
        n for n in weights if n not in ("class_token.weight", "positions.weight")
    }
    rows: dict[str, list[Tensor]] = {name: [] for name in sink.grams}
    for image, label in zip(images, labels, strict=True):
        loss = torch.nn.functional.cross_entropy(network(image[None]), label[None])
        each = torch.autograd.grad(loss, [weights[name] for name in rows])
        for name, gradient in zip(rows, each, strict=True):
            rows[name].append(gradient.flatten())
    for name, gram in sink.grams.items():
        own = torch.stack(rows[name])
        torch.testing.assert_close(gram, own @ own.T, rtol=1e-10, atol=1e-12)


def test_the_published_spaces_have_their_sizes() -> None:
    sizes = {name: AutoformerSpace(name).size for name in SUPERNETS}
    assert sizes["tiny"] == 3 * (4**12 + 4**13 + 4**14)
    assert sizes["base"] == 3 * (9**14 + 9**15 + 9**16)


def test_every_depth_is_drawn_equally_often() -> None:
    rng = np.random.default_rng(0)
    depths = Counter(len(SMALL.sample(rng).layers) for _ in range(3000))
    assert set(depths) == {1, 2, 3}
    assert min(depths.values()) > 900


def test_features_are_of_the_whole_and_of_every_layer() -> None:
    genotype = Autoformer(8, (Layer(1.0, 2), Layer(1.5, 1)))
    features = graph_features(SMALL, [genotype])
    values = dict(zip(features.names, features.values[0], strict=True))
    assert values["depth"] == 2
    assert values["embed_dim"] == 8
    assert values["mlp_ratio[all]"] == 2.5
    assert values["num_heads[second_half]"] == 1
    assert [values[f"num_heads{number}"] for number in (1, 2, 3)] == [2, 1, 0]


@pytest.mark.parametrize("n", [3, 4, 5])
def test_as_many_heads_as_samples_are_scored(n: int) -> None:
    images, labels = torch.randn(n, 3, 8, 8), torch.arange(n) % 4
    task = ScoringTask(HEADS, {"patch_size": 4}, images, labels, 4, ("gradalign",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no slower way
        found = task.evaluate(HEADS.parse("embed_dim=6,mlp_ratio=1-1,num_heads=3-4"))
    assert found.status == "ok", found.reason


def test_impossible_values_and_texts_are_refused() -> None:
    bad: list[tuple[str, list[int]]] = [("depth", []), ("num_heads", [1, 1]), ("embed_dim", [0, 4])]
    for name, values in bad:
        with pytest.raises(InputError, match=f"search_space.{name} must be"):
            AutoformerSpace(**{name: values})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown supernet 'huge'"):
        AutoformerSpace("huge")
    with pytest.raises(InputError, match="one architecture is no search"):
        AutoformerSpace(depth=[1], embed_dim=[8], mlp_ratio=[1], num_heads=[1])
    with pytest.raises(InputError, match=r"num_heads 7 is not in this space; possible: 1, 2"):
        SMALL.parse("embed_dim=8,mlp_ratio=1-1,num_heads=1-7")
    with pytest.raises(InputError, match="2 values of mlp_ratio and 1 of num_heads"):
        SMALL.parse("embed_dim=8,mlp_ratio=1-1,num_heads=1")
    with pytest.raises(InputError, match=r"is no number"):
        SMALL.parse("embed_dim=8,mlp_ratio=1..1,num_heads=1")
    with pytest.raises(InputError, match=r"cannot be cut into patches of 4x4; possible: .*=2"):
        SMALL.build(SMALL.sample(np.random.default_rng(0)), (3, 8, 10), 4, patch_size=4)
