"""Attention: what the library computes, with every sample's gradient."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.gradients import FactorSink, per_sample_backward
from nas_search.layers import attention
from nas_search.scoring.initialize import initialize
from tests.gradients.exact import assert_exact

N, LENGTH, OTHER, WIDTH, HEADS, CLASSES = 4, 5, 6, 8, 2, 3


class Attending(nn.Module):
    """Attention in the middle of a network; images (n, 3, 8, 8) are its samples."""

    def __init__(
        self, cross: bool = False, mask: str = "", weights: str = "", **options: Any
    ) -> None:
        super().__init__()
        self.cross, self.mask, self.weights = cross, mask, weights
        self.queries, self.keys = nn.Linear(3 * 64, LENGTH * WIDTH), nn.Linear(192, OTHER * 12)
        self.keys_of_own_width = nn.Linear(12, WIDTH)
        self.layer = nn.MultiheadAttention(WIDTH, HEADS, **options)
        self.bias = nn.Parameter(torch.randn(LENGTH, OTHER if cross else LENGTH))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        x = x.flatten(1)
        q = self.queries(x).view(n, LENGTH, WIDTH)
        k = v = q
        if self.cross:
            tokens = self.keys(x).view(n, OTHER, 12)
            narrow = self.keys_of_own_width(tokens)
            k = tokens if self.layer.kdim == 12 else narrow
            v = tokens if self.layer.vdim == 12 else narrow
        options: dict[str, Any] = {"need_weights": bool(self.weights)}
        if self.weights == "each":
            options["average_attn_weights"] = False
        length = k.shape[1]
        if self.mask == "causal":
            options["attn_mask"] = torch.ones(LENGTH, length, dtype=torch.bool).triu(1)
            options["is_causal"] = not self.weights
        elif self.mask == "heads":
            scores = torch.linspace(-1, 1, N * HEADS * LENGTH * length, dtype=x.dtype)
            options["attn_mask"] = scores.view(N * HEADS, LENGTH, length)[: n * HEADS]
        elif self.mask == "parameter":
            options["attn_mask"] = self.bias
        elif self.mask == "padding":
            lengths = (x[:, 0] > 0).long() + 2
            options["key_padding_mask"] = torch.arange(length) >= lengths[:, None]
            options["attn_mask"] = torch.zeros(LENGTH, length, dtype=torch.bool)
            options["attn_mask"][0, 1] = True
        if not self.layer.batch_first:
            q, k, v = (
                (q.transpose(0, 1), *(t.transpose(0, 1) for t in (k, v)))
                if self.cross
                else ((q.transpose(0, 1),) * 3)
            )
        y, shares = self.layer(q, k, v, **options)
        y = y if self.layer.batch_first else y.transpose(0, 1)
        logits: Tensor = self.head(torch.tanh(y).mean(1))
        assert (shares is None) == (not self.weights)
        return (
            logits if shares is None else logits + shares.flatten(1).square().sum(1, keepdim=True)
        )


CASES: dict[str, dict[str, Any]] = {
    "self": {"batch_first": True},
    "tokens_first": {},
    "weights": {"batch_first": True, "weights": "mean"},
    "weights_of_each_head": {"batch_first": True, "weights": "each"},
    "without_bias": {"batch_first": True, "bias": False},
    "dropout": {"batch_first": True, "dropout": 0.5},
    "bias_kv": {"batch_first": True, "add_bias_kv": True, "mask": "causal", "weights": "mean"},
    "zero": {"batch_first": True, "add_zero_attn": True, "add_bias_kv": True, "mask": "padding"},
    "causal": {"batch_first": True, "mask": "causal"},
    "mask_of_heads": {"batch_first": True, "mask": "heads", "weights": "each"},
    "learned_mask": {"batch_first": True, "mask": "parameter"},
    "padding": {"mask": "padding", "weights": "mean"},
    "cross": {"cross": True, "batch_first": True},
    "cross_tokens_first": {"cross": True, "mask": "padding", "bias": False},
    "other_widths": {"cross": True, "kdim": 12, "vdim": 12, "batch_first": True},
    "other_keys": {"cross": True, "kdim": 12, "bias": False, "mask": "heads"},
    "other_values": {"cross": True, "vdim": 12, "weights": "mean", "add_bias_kv": True},
}


def batch(n: int = N) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(n, 3, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.arange(n) % CLASSES


def made(**case: Any) -> Attending:
    torch.manual_seed(0)
    network = Attending(**case).double()
    for parameter in network.parameters():
        if parameter.dim() < 2:
            nn.init.normal_(parameter)
    return network


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_multi_head_attention_is_exact(case: dict[str, Any]) -> None:
    network = made(**case)
    assert assert_exact(network.train(), *batch()) == "rules"
    assert_exact(network, *batch(1))


def test_projections_count_as_weights() -> None:
    weights = {"queries.weight", "layer.in_proj_weight", "layer.out_proj.weight", "head.weight"}
    assert_exact(made(), *batch(), weights=weights)
    apart = {f"layer.{part}_proj_weight" for part in "qkv"} - {"layer.in_proj_weight"}
    weights = weights - {"layer.in_proj_weight"} | apart | {"keys.weight"}
    assert_exact(made(**CASES["other_widths"]), *batch(), weights=weights)


def test_the_factors_of_the_projections_are_what_enters_and_comes_back() -> None:
    network, sink = made(batch_first=True), FactorSink()
    per_sample_backward(network, *batch(), [sink], normalization="eval")
    found = sink.found.by_candidate(1)[0]
    images = batch()[0]
    tokens = network.queries(images.flatten(1))
    expected = tokens @ tokens.T
    torch.testing.assert_close(found["layer.in_proj_weight"][0], expected, rtol=1e-10, atol=1e-12)
    assert found["layer.out_proj.weight"].shape == (2, N, N)


@pytest.mark.parametrize("first", [True, False])
def test_transformer_encoders_and_decoders_are_exact(first: bool) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            options: dict[str, Any] = {
                "dim_feedforward": 12,
                "batch_first": True,
                "activation": F.gelu,
            }
            layer = nn.TransformerEncoderLayer(WIDTH, HEADS, norm_first=first, **options)
            self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(WIDTH))
            self.decoder = nn.TransformerDecoderLayer(WIDTH, HEADS, **options)
            self.probe = nn.Parameter(torch.randn(1, 2, WIDTH))
            self.embed, self.head = nn.Linear(24, WIDTH), nn.Linear(WIDTH, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            x = self.encoder(self.embed(x.transpose(1, 2).flatten(2)))
            logits: Tensor = self.head(self.decoder(self.probe.expand(len(x), -1, -1), x).mean(1))
            return logits

    torch.manual_seed(0)
    network = Network().double()
    assert assert_exact(network.train(), *batch()) == "rules"
    network.encoder.requires_grad_(False)  # then the library would take its fast path
    assert_exact(network.eval(), *batch())


def test_initial_weights_are_those_of_torch() -> None:
    torch.manual_seed(0)
    for options in ({}, {"kdim": 12, "vdim": 10}, {"add_bias_kv": True, "bias": False}):
        layer = nn.MultiheadAttention(64, 4, **options)
        own = initialize(nn.MultiheadAttention(64, 4, **options), seed=1)
        for (name, reference), values in zip(
            layer.named_parameters(), own.parameters(), strict=True
        ):
            spread, expected = values.std(correction=0).item(), reference.std(correction=0).item()
            tolerance = 0.3 if name.startswith("bias_") else 0.05
            assert spread == pytest.approx(expected, rel=tolerance), name
            if "weight" in name:
                largest = values.abs().max().item()
                assert largest == pytest.approx(reference.abs().max().item(), rel=0.02)


@pytest.mark.parametrize("scheme", ["kaiming_normal", "kaiming_fan_out", "standard_normal"])
def test_initial_weights_of_other_schemes(scheme: Any) -> None:
    own = initialize(nn.MultiheadAttention(64, 4), seed=1, scheme=scheme)
    deviation = 1 if scheme == "standard_normal" else math.sqrt(2 / 64)
    for weight in (own.in_proj_weight, own.out_proj.weight):
        assert weight.std().item() == pytest.approx(deviation, rel=0.05)
    assert not own.in_proj_bias.any() and not own.out_proj.bias.any()


def test_macs_of_attention_by_hand() -> None:
    q, k, v = torch.randn(5, 2, 8), torch.randn(6, 2, 8), torch.randn(6, 2, 8)
    layer = nn.MultiheadAttention(8, 2)
    output = layer(q, k, v)
    projections = 2 * (5 * 8 * 8 + 6 * 8 * 8 + 6 * 8 * 8 + 5 * 8 * 8)
    products = 2 * (5 * 6 * 8 + 5 * 6 * 8)
    assert attention.macs(output, q, k, v, 8) == projections + products
    q, k, v = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 6, 4), torch.randn(2, 3, 6, 7)
    y = F.scaled_dot_product_attention(q, k, v)
    assert attention.product_macs(y, q, k, v) == 2 * 3 * (5 * 6 * 4 + 5 * 6 * 7)
