"""Language models: their table, sizes as published, each way to mix tokens, refusals."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from nas_search.core.errors import InputError
from nas_search.features import graph_features
from nas_search.gradients import GramSink, per_sample_backward
from nas_search.scoring import initialize
from nas_search.spaces.flexibert import FlexibertSpace
from nas_search.spaces.flexibert.network import (
    Layer,
    SpanConvolution,
    WeightedAttention,
    cosine_transform,
    fourier_transform,
)
from nas_search.spaces.flexibert.space import PUBLISHED
from nas_search.tables import BENCHMARKS
from nas_search.testing.spaces import SearchSpaceConformance

SMALL = FlexibertSpace(
    layers=[1, 2, 3],
    hidden=[4, 8],
    operations=[*PUBLISHED[:5], "dsc_3"],
    feed_forward=[5, 6],
    stack=[1, 2],
)
SHAPE = (7, 1, 6)


def every_operation() -> list[Any]:
    """Return genotypes of two layers that have all operations between them."""
    pairs = zip(SMALL.positions[2][::2], SMALL.positions[2][1::2], strict=True)
    return [SMALL.of(8, [Layer(one, 2, 5, 2), Layer(other, 4, 6, 1)]) for one, other in pairs]


class TestFlexibert(SearchSpaceConformance):
    space = SMALL
    macro: ClassVar[dict[str, int]] = {"embedding": 4}
    input_shape = (3, 2, 5)
    fixed_shapes = False


def test_every_model_of_the_table_is_a_genotype(shared_data: Path) -> None:
    record = BENCHMARKS.get("flexibert")
    space = FlexibertSpace()
    table = record.read(space, record.options(path=str(shared_data / "flexibert.csv")))
    with (shared_data / "flexibert.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), len(table)) == (246, 241)
    means: dict[Any, list[float]] = {}
    for row in rows:
        means.setdefault((row["hidden_size"], row["encoder_layers"]), []).append(float(row["glue"]))
    assert table.columns["glue"].tolist() == pytest.approx(
        [sum(values) / len(values) for values in means.values()]
    )
    assert table.columns["cola"].min() < 0  # a correlation
    hidden, layers = space.specified(table.architectures[0])
    assert hidden == 256
    assert layers[0] == Layer("sa_wma", 4, 1024, 3)
    assert layers[3] == Layer("sa_sdp", 4, 1024, 1)


def test_tables_that_are_none_are_refused(tmp_path: Path) -> None:
    record = BENCHMARKS.get("flexibert")
    file = tmp_path / "table.csv"
    for text, message in (
        ("a,glue\n1,2\n", "no column 'hidden_size'"),
        ("hidden_size,encoder_layers,glue\n128,[1],50\n", "row 1: not a list of layers"),
        ("hidden_size,encoder_layers,glue\n128,[],50\n", "row 1: flexibert, layers: unknown '0'"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=message):
            record.read(FlexibertSpace(), record.options(path=str(file)))


def test_two_members_have_their_published_parameters() -> None:
    # BERT-tiny (Turc et al. 2019): 4,385,920, of which 16,512 are its pooler and 256 its two kinds
    # of segments; ELECTRA-small (Clark et al. 2020): 13,483,008, of which 256 are segments. The
    # class token is one of the 30,522 tokens and has one of the 512 positions.
    problem = ((30521, 1, 511), 2)
    tiny = FlexibertSpace().of(128, [Layer("sa_sdp", 2, 512, 1)] * 2)
    cost = FlexibertSpace().cost(tiny, *problem)
    assert cost.params == 4_385_920 - 16_512 - 256 + (128 * 2 + 2)
    deep = FlexibertSpace(layers=[2, 12])
    small = deep.of(256, [Layer("sa_sdp", 4, 1024, 1)] * 12)
    assert deep.cost(small, *problem).params == 13_483_008 - 256 + (256 * 2 + 2)


@pytest.mark.parametrize("kernel", [5, 9])
def test_parameters_of_the_other_operations(kernel: int) -> None:
    space, problem = FlexibertSpace(), ((10, 1, 16), 2)

    def params(operation: str, heads: int, stack: int = 1) -> int:
        layer = Layer(operation, heads, 512, stack)
        return space.cost(space.of(256, [layer] * 2), *problem).params // 2

    dots = params("sa_sdp", 4)
    assert params("sa_wma", 4) == dots + 256**2
    for transform in ("lt_dft", "lt_dct"):
        assert params(transform, 4) == dots - 2 * (256**2 + 256)
    assert params("sa_sdp", 4, 3) == dots + 2 * (512**2 + 512)
    # ConvBERT: queries, keys and values of half the width, as are what is convolved and the
    # pointwise convolution; a depthwise kernel per channel; a kernel for each convolving head.
    halves = 5 * (256 * 128 + 128) + 256 * kernel + (128 + 1) * 2 * kernel
    assert params(f"dsc_{kernel}", 4) == dots - 3 * (256**2 + 256) + halves


def test_transforms_are_those_of_scipy_and_torch() -> None:
    from scipy.fft import dctn

    x = torch.randn(2, 3, 7, 12, dtype=torch.float64)
    torch.testing.assert_close(fourier_transform(x), torch.fft.fft2(x).real)
    expected = torch.from_numpy(dctn(x.numpy(), axes=(-2, -1)))
    torch.testing.assert_close(cosine_transform(x), expected)


def test_weighted_attention_is_that_of_its_definition() -> None:
    torch.manual_seed(0)
    attention = WeightedAttention(6, 2).double()
    x = torch.randn(4, 6, dtype=torch.float64)
    taken = []
    for head in range(2):
        rows = slice(3 * head, 3 * head + 3)
        q = (attention.query(x) @ attention.weight.weight.T)[:, rows]
        k, v = attention.key(x)[:, rows], attention.value(x)[:, rows]
        shares = [[math.exp((a @ b).item() / 3**0.5) for b in k] for a in q]
        taken.append(
            torch.stack(
                [sum(s / sum(row) * u for s, u in zip(row, v, strict=True)) for row in shares]
            )
        )
    torch.testing.assert_close(attention(x[None])[0], attention.out(torch.cat(taken, 1)))


def test_span_convolution_is_that_of_its_definition() -> None:
    torch.manual_seed(0)
    length, width, heads, kernel = 5, 8, 4, 3
    module = SpanConvolution(width, heads, kernel).double()
    x = torch.randn(length, width, dtype=torch.float64)
    q, values = module.query(x), module.convolved(x)

    def near(rows: Tensor, at: int, offset: int) -> Tensor:
        inside = 0 <= at + offset < length
        return rows[at + offset] if inside else torch.zeros_like(rows[0])

    convolved = []
    for at in range(length):
        seen = sum(
            module.depthwise.weight[:, 0, 1 + offset] * near(x, at, offset) for offset in (-1, 0, 1)
        )
        kernels = module.kernels(module.pointwise(seen) * q[at]).view(2, kernel).softmax(1)
        heads_of = [
            sum(
                kernels[head, 1 + o] * near(values, at, o)[2 * head : 2 * head + 2]
                for o in (-1, 0, 1)
            )
            for head in range(2)
        ]
        convolved.append(torch.cat(heads_of))
    shares = [
        (q[:, rows] @ module.key(x)[:, rows].T / 2**0.5).softmax(1) @ module.value(x)[:, rows]
        for rows in (slice(0, 2), slice(2, 4))
    ]
    expected = module.out(torch.cat([*shares, torch.stack(convolved)], 1))
    torch.testing.assert_close(module(x[None])[0], expected)


@pytest.mark.parametrize("number", range(3))
def test_gradients_by_sample_are_those_of_a_loop(number: int) -> None:
    genotype = every_operation()[number]
    network = initialize(SMALL.build(genotype, SHAPE, 4, embedding=4), 0).double()
    images, labels = torch.randn(5, *SHAPE, dtype=torch.float64), torch.arange(5) % 4
    sink = GramSink()
    per_sample_backward(network, images, labels, [sink], normalization="frozen")
    weights = {
        f"{name}.weight": layer.weight
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv1d)
    }
    assert set(sink.grams) == set(weights)
    rows: dict[str, list[Tensor]] = {name: [] for name in sink.grams}
    for image, label in zip(images, labels, strict=True):
        each = torch.autograd.grad(
            cross_entropy(network(image[None]), label[None]), weights.values()
        )
        for name, gradient in zip(weights, each, strict=True):
            rows[name].append(gradient.flatten())
    for name, gram in sink.grams.items():
        own = torch.stack(rows[name])
        torch.testing.assert_close(gram, own @ own.T, rtol=1e-9, atol=1e-12)


def test_integer_tokens_are_what_one_hot_ones_are() -> None:
    for genotype in every_operation():
        network = initialize(SMALL.build(genotype, SHAPE, 4, embedding=4), 0)
        tokens = torch.randint(7, (3, 6), generator=torch.Generator().manual_seed(0))
        hot = one_hot(tokens, 7).float().transpose(1, 2)[:, :, None]
        torch.testing.assert_close(network(tokens), network(hot))
        other = tokens.clone()
        other[0, 5] = (other[0, 5] + 1) % 7  # the class token sees the last one
        assert not torch.allclose(network(other)[0], network(tokens)[0], atol=1e-7)


def test_features_are_of_the_whole_and_of_every_layer() -> None:
    genotype = SMALL.of(8, [Layer("sa_wma", 2, 5, 2), Layer("sa_wma", 4, 6, 1)])
    features = graph_features(SMALL, [genotype])
    values = dict(zip(features.names, features.values[0], strict=True))
    assert values["hidden"] == 8
    assert values["layers"] == 2
    assert values["count[sa_wma]"] == 2
    assert values["sum[heads]"] == 6
    assert values["ff3"] == 0


def test_drop_path_drops_mixing_and_feed_forward() -> None:
    network = SMALL.build(every_operation()[0], SHAPE, 4)
    assert len(SMALL.droppable(network)) == 4


def test_the_published_space_has_its_size() -> None:
    space = FlexibertSpace()
    assert space.size == 2 * 2 * 48**4  # networks: 2 * (48**2 + 48**4)
    rng = np.random.default_rng(0)
    assert {len(space.specified(space.sample(rng))[1]) for _ in range(50)} == {2, 4}


def test_impossible_options_and_texts_are_refused() -> None:
    for options, message in (
        ({"layers": []}, "search_space.layers must be one or more different values of 1 or more"),
        ({"heads": [2, 2]}, "search_space.heads must be one or more different"),
        ({"stack": [0, 1]}, "search_space.stack must be"),
        ({"heads": [3]}, "3 heads do not divide a hidden size of 128"),
        ({"operations": ["sa_spd"]}, "unknown operation 'sa_spd'.*possible: sa_sdp"),
        ({"operations": ["dsc_4"]}, "unknown operation 'dsc_4'.*odd kernel"),
    ):
        with pytest.raises(InputError, match=message):
            FlexibertSpace(**options)  # type: ignore[arg-type]
    one: dict[str, Any] = {"layers": [1], "hidden": [4], "operations": ["sa_sdp"], "heads": [2]}
    with pytest.raises(InputError, match="one architecture is no search"):
        FlexibertSpace(**one, feed_forward=[4], stack=[1])
    with pytest.raises(InputError, match="op1: unknown 'conv'; possible: sa_sdp"):
        SMALL.parse("hidden=8,layers=1,op1=conv,heads1=2,ff1=5,stack1=1")
