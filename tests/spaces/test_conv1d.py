"""Convolutional networks of series: shapes, costs by hand, per-sample gradients, every score."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas_search.core.errors import InputError
from nas_search.costs import COSTS, At
from nas_search.costs.at import read_at
from nas_search.features import graph_features
from nas_search.gradients import GramSink, per_sample_backward
from nas_search.priors import FITTED
from nas_search.proxies import PROXIES
from nas_search.spaces.conv1d import Conv1dSpace
from nas_search.spaces.conv1d.network import Conv1dNetwork
from nas_search.testing.spaces import SearchSpaceConformance
from tests.scoring.problem import task

TEXT = "r1_k3_c16_d1_max|r2_k5_c32_d2_stride_res|r1_k9_c64_d4_avg_res"


class TestConv1d(SearchSpaceConformance):
    space = Conv1dSpace()
    macro = {"stem": 4, "multiplier": 0.1}  # noqa: RUF012
    input_shape = (3, 1, 40)
    fixed_shapes = False

    def genes(self, genotype: Any) -> Sequence[Hashable]:
        choices: tuple[str, ...] = genotype.choices
        return choices


class TestConv1dOfSpectrograms(TestConv1d):
    input_shape = (2, 5, 40)


def test_costs_are_those_counted_by_hand() -> None:
    # Weights of convolutions without bias; scale and shift of batch-norm; MACs: weights x steps.
    space = Conv1dSpace()
    genotype = space.parse(TEXT)
    convolutions = [  # inputs, outputs, kernel, steps of the output
        (6, 32, 7, 100),
        *((32, 16, 3, 50), (16, 16, 3, 50)),
        *((16, 32, 5, 25), (32, 32, 5, 25), (16, 32, 1, 25)),
        *((32, 32, 5, 25), (32, 32, 5, 25)),
        *((32, 64, 9, 13), (64, 64, 9, 13), (32, 64, 1, 13)),
    ]
    weights = [i * o * k for i, o, k, _ in convolutions]
    channels = [o for _, o, _, _ in convolutions]
    macs = sum(w * steps for w, (*_, steps) in zip(weights, convolutions, strict=True)) + 64 * 4
    cost = space.cost(genotype, (6, 1, 100), 4)
    assert cost.params == sum(weights) + 2 * sum(channels) + 64 * 4 + 4
    assert cost.macs == macs
    assert not cost.uncounted
    at = At((6, 1, 100), 4)
    elements = sum(o * steps for _, o, _, steps in convolutions) + 4
    assert COSTS.get("activations").cost(space, genotype, at) == elements
    # The largest moment: 32 channels of 100 steps, pooled to 50 by a buffer of its own.
    assert COSTS.get("peak_memory").cost(space, genotype, at) == 4 * (32 * 100 + 32 * 50)
    runtime = 22 * 1024
    biases = sum(channels) + 4
    flash = COSTS.get("flash").cost(space, genotype, at)
    assert flash == runtime + 4 * (sum(weights) + 64 * 4 + biases)


@pytest.mark.parametrize(("length", "last"), [(2, 2), (3, 2), (8, 2), (24, 3), (150, 19)])
def test_the_last_maps_have_two_steps_or_more(length: int, last: int) -> None:
    space = Conv1dSpace()
    with torch.device("meta"):
        network = space.build(space.parse(TEXT), (1, 1, length), 2)
        assert isinstance(network, Conv1dNetwork)
        x = network.stem(torch.empty(1, 1, 1, length))
        for cell in network.cells:
            x = cell(x)
    assert x.shape == (1, 64, last)


def test_rows_of_an_image_are_channels_and_the_stride_of_the_stem_shortens() -> None:
    space = Conv1dSpace()
    network = space.build(space.parse(TEXT), (2, 3, 4000), 5, stem_stride=4)
    first = network.get_submodule("stem.convolution.0")
    assert isinstance(first, nn.Conv1d)
    assert (first.in_channels, first.stride) == (6, (4,))
    images = torch.randn(2, 2, 3, 4000)
    logits = network.eval()(images)
    as_channels = space.build(space.parse(TEXT), (6, 1, 4000), 5, stem_stride=4).eval()
    as_channels.load_state_dict(network.state_dict())
    torch.testing.assert_close(as_channels(images.reshape(2, 6, 1, 4000)), logits)


def test_a_block_is_what_a_naive_loop_computes() -> None:
    # One stage of one residual block with dilation 2 behind average pooling, in float64.
    space = Conv1dSpace(widths=[[4]], depths=[1], kernels=[3], dilations=[2], pools=["avg"])
    torch.manual_seed(0)
    network = space.build(space.parse("r1_k3_c4_d2_avg_res"), (2, 1, 11), 3, stem=4).double().eval()
    x = torch.randn(1, 2, 1, 11, dtype=torch.float64)
    state = {name: value.numpy() for name, value in network.state_dict().items()}

    def conv(signal: Any, weight: Any, dilation: int) -> Any:
        outputs, inputs, taps = weight.shape
        out = np.zeros((outputs, signal.shape[1]))
        for o in range(outputs):
            for t in range(signal.shape[1]):
                for i in range(inputs):
                    for tap in range(taps):
                        at = t + dilation * (tap - taps // 2)
                        if 0 <= at < signal.shape[1]:
                            out[o, t] += weight[o, i, tap] * signal[i, at]
        return out / math.sqrt(1 + 1e-5)  # fresh batch-norm: mean 0, variance 1, scale 1

    stem = np.maximum(conv(x[0, :, 0].numpy(), state["stem.convolution.0.weight"], 1), 0)
    pairs = [stem[:, t : t + 2].mean(1) for t in range(0, 11, 2)]
    pooled = np.stack(pairs, axis=1)
    block = "cells.0.block0.branch"
    inner = np.maximum(conv(pooled, state[f"{block}.first.0.weight"], 2), 0)
    y = np.maximum(conv(inner, state[f"{block}.second.0.weight"], 2) + pooled, 0)
    logits = state["head.2.weight"] @ y.mean(1) + state["head.2.bias"]
    np.testing.assert_allclose(network(x)[0].detach().numpy(), logits, rtol=1e-10)


def test_per_sample_gradients_are_those_of_the_loop() -> None:
    space = Conv1dSpace()
    torch.manual_seed(0)
    network = space.build(space.parse(TEXT), (2, 1, 20), 4, stem=6, multiplier=0.1).double()
    images, labels = torch.randn(5, 2, 1, 20).double(), torch.arange(5) % 4
    grams = {}
    for way in ("fast", "one_by_one"):
        sink = GramSink()
        chosen: Any = {} if way == "fast" else {"way": way}
        per_sample_backward(
            network, images, labels, [sink], normalization="sample", parameters="all", **chosen
        )
        grams[way] = sink.grams
    assert set(grams["fast"]) == {name for name, _ in network.named_parameters()}
    for name, gram in grams["one_by_one"].items():
        torch.testing.assert_close(grams["fast"][name], gram, rtol=1e-8, atol=1e-12)


def test_costs_at_another_length_are_those_of_a_series() -> None:
    space = Conv1dSpace()
    basis = At((6, 1, 100), 4, {"stem": 8})
    at = read_at(space, basis, {"input_size": 200, "dtype": "int8"}, "constraints.at")
    assert at.input_shape == (6, 1, 200)
    genotype = space.parse(TEXT)
    macs = [COSTS.get("macs").cost(space, genotype, one) - 64 * 4 for one in (basis, at)]
    assert macs[1] == pytest.approx(2 * macs[0], rel=0.02)


def test_features_are_numbers_of_each_choice() -> None:
    space = Conv1dSpace()
    found = graph_features(space, [space.parse(TEXT)])
    row = dict(zip(found.names, found.values[0].tolist(), strict=True))
    assert (row["width2"], row["sum[dilation]"], row["sum[residual]"]) == (32, 7, 2)
    assert (row["pool1[max]"], row["pool1[avg]"], row["count[stride]"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kernels": [4]}, "search_space.kernels: lengths must be odd"),
        ({"kernels": [1, 3]}, "search_space.kernels must be an integer of at least 3"),
        ({"pools": ["max", "sum"]}, "possible: stride, max, avg, none, got"),
        ({"depths": []}, "search_space.depths: expected different values"),
        ({"widths": []}, "search_space.widths: expected a list of channels per stage"),
        ({"widths": [[16, 16]]}, "search_space.widths.0: expected different values"),
    ],
)
def test_impossible_choices_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said.replace(".", r"\.")):
        Conv1dSpace(**options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("r1_k3_c16_d1_max", "expected 3 stages"),
        (TEXT.replace("k5", "x5"), "stage 2: cannot read 'r2_x5_c32_d2_stride_res'"),
        (TEXT.replace("c64", "c65"), "stage 3: width '65' is not among its choices 64, 96, 128"),
        (TEXT.replace("_max", "_none"), "stage 1: pool 'none' is not among"),
    ],
)
def test_texts_of_no_network_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Conv1dSpace().parse(text)


def test_every_macro_is_checked() -> None:
    space = Conv1dSpace()
    for macro in ({"stem": 0}, {"stem_stride": 0}, {"multiplier": 0}):
        with pytest.raises(InputError, match=next(iter(macro))):
            space.build(space.parse(TEXT), (1, 1, 30), 2, **macro)


def series_task(proxies: tuple[str, ...], space: Conv1dSpace) -> Any:
    images = torch.randn(6, 2, 1, 24, generator=torch.Generator().manual_seed(0))
    return task(space, proxies=proxies, images=images)


class TwoDimensional(Conv1dSpace):
    """The same networks, of images of one row: every kernel is one pixel tall."""

    def build(
        self, genotype: Any, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> nn.Module:
        network = super().build(genotype, input_shape, num_classes, **macro)
        stem = network.get_submodule("stem")
        layers = {"convolution": stem.get_submodule("convolution"), "relu": nn.ReLU()}
        network.stem = nn.Sequential(OrderedDict(layers))  # without the flattening of rows
        for name, module in [*network.named_modules()]:
            twin = flat(module)
            if twin is not None:
                parent, _, child = name.rpartition(".")
                setattr(network.get_submodule(parent), child, twin)
        return network


def flat(module: nn.Module) -> nn.Module | None:
    """Return the layer of images of one row that computes what a layer of series does."""
    if isinstance(module, nn.Conv1d):
        (kernel,), (stride,) = module.kernel_size, module.stride
        assert not isinstance(module.padding, str)
        (padding,) = module.padding
        return nn.Conv2d(
            module.in_channels,
            module.out_channels,
            (1, kernel),
            (1, stride),
            (0, padding),
            (1, module.dilation[0]),
            bias=False,
        )
    if isinstance(module, nn.BatchNorm1d):
        return nn.BatchNorm2d(module.num_features)
    if isinstance(module, nn.MaxPool1d):
        return nn.MaxPool2d((1, 2), ceil_mode=True)
    if isinstance(module, nn.AvgPool1d):
        return nn.AvgPool2d((1, 2), ceil_mode=True)
    return nn.AdaptiveAvgPool2d(1) if isinstance(module, nn.AdaptiveAvgPool1d) else None


def test_every_score_is_that_of_the_same_network_on_images_of_one_row() -> None:
    scores = tuple(one for one in PROXIES.names() if one not in (*FITTED, "linear_regions"))
    found = []
    for space in (Conv1dSpace(), TwoDimensional()):
        evaluation = series_task(scores, space).evaluate(space.parse(TEXT))
        assert set(evaluation.scores) == set(scores), evaluation.reason
        found.append(evaluation.scores)
    assert all(map(math.isfinite, found[0].values()))
    assert found[0] == pytest.approx(found[1], rel=2e-3, abs=1e-5)


def test_a_score_of_images_is_refused() -> None:
    with pytest.raises(InputError, match="counted on images, and this network convolves series"):
        series_task(("linear_regions",), Conv1dSpace()).evaluate(Conv1dSpace().parse(TEXT))
