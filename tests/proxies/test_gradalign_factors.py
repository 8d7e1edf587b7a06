"""The default score against values computed by hand, and the laws of its formula."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nas_search.passes.per_sample import Grams, LayerFactors, normalized
from nas_search.passes.structure import Depth
from nas_search.proxies import PROXIES, Measurement
from nas_search.proxies.gradalign import DEPENDENT, contrast, spread

law = settings(max_examples=40, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


def linear_layers(seed: int, n: int = 6) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """Return inputs (n, p) and errors (n, q) of some linear layers, and labels of 3 classes.

    Errors point away from the other classes, as those of cross-entropy do.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    layers = []
    for _ in range(3):
        sizes = torch.randint(n, 12, (2,), generator=generator).tolist()
        inputs = torch.rand(n, sizes[0], generator=generator, dtype=torch.float64)
        errors = torch.randn(n, sizes[1], generator=generator, dtype=torch.float64)
        towards = torch.randn(3, sizes[1], generator=generator, dtype=torch.float64)
        layers.append((inputs, errors + (towards - towards.mean(0))[labels]))
    return layers, labels


def measurement(layers: list[tuple[Tensor, Tensor]], labels: Tensor, depth: int = 1) -> Measurement:
    """Return the measurement of linear layers with these factors."""
    names = tuple(f"layer{i}.weight" for i in range(len(layers)))
    inputs = torch.stack([a @ a.T for a, _ in layers])
    errors = torch.stack([b @ b.T for _, b in layers])
    sizes = torch.tensor([a.shape[1] * b.shape[1] for a, b in layers], dtype=torch.float64)
    seen = LayerFactors(names, normalized(inputs), normalized(errors), sizes, labels)
    return Measurement(Grams(names, inputs * errors), seen, Depth(depth))


def score(layers: list[tuple[Tensor, Tensor]], labels: Tensor) -> float:
    return PROXIES.get("gradalign").score(measurement(layers, labels))


def test_score_equals_that_computed_by_hand() -> None:
    # Inputs orthogonal: spread 1, and K is the identity: no contrast at all.
    eye = torch.eye(4, dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 1])
    sides = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    assert score([(eye, sides)], labels) == 0
    # Two classes, one image each, errors opposed: A has eigenvalues 1 -+ a, E has 0 and 2, whose
    # lower quartiles are 1 - a / 2 and .5; K_12 = -a; P = 2 * 1.
    a = 0.6
    inputs = torch.tensor([[1.0, 0], [a, math.sqrt(1 - a * a)]], dtype=torch.float64)
    errors = torch.tensor([[3.0], [-2.0]], dtype=torch.float64)
    quartiles = (1 - a / 2 - DEPENDENT) * (0.5 - DEPENDENT)
    expected = math.sqrt(2 * quartiles * math.sqrt(a))
    assert score([(inputs, errors)], torch.tensor([0, 1])) == pytest.approx(expected, rel=1e-12)
    assert score([(inputs, errors)] * 3, torch.tensor([0, 1])) == pytest.approx(3 * expected)
    deep = measurement([(inputs, errors)], torch.tensor([0, 1]), depth=16)
    assert PROXIES.get("gradalign").score(deep) == pytest.approx(2 * expected)
    # The same two images in one class, or not opposed: nothing tells classes apart.
    assert score([(inputs, -errors.abs())], torch.tensor([0, 1])) == 0


def test_spread_and_contrast_reach_their_bounds() -> None:
    eye = torch.eye(8, dtype=torch.float64)
    assert spread(torch.linalg.eigvalsh(eye)).item() == pytest.approx(1 - DEPENDENT)
    assert spread(torch.linalg.eigvalsh(torch.ones_like(eye))).item() == 0
    assert spread(torch.tensor([-1e-15, 0.0, 3.0]).double()).item() >= 0
    labels = torch.tensor([0, 0, 1, 1])
    signs = torch.tensor([1.0, 1, -1, -1], dtype=torch.float64)
    assert contrast(torch.outer(signs, signs), labels).item() == 1
    assert contrast(torch.ones(4, 4, dtype=torch.float64), labels).item() == 0


@law
@given(seeds)
def test_score_stays_in_its_bounds_and_adds_up_over_layers(seed: int) -> None:
    layers, labels = linear_layers(seed)
    value = score(layers, labels)
    assert 0 <= value <= sum(math.sqrt(a.shape[1] * b.shape[1]) for a, b in layers)
    assert value > 0
    assert sum(score([layer], labels) for layer in layers) == pytest.approx(value, rel=1e-12)


@law
@given(seeds)
def test_score_does_not_depend_on_the_length_of_an_input_or_error(seed: int) -> None:
    layers, labels = linear_layers(seed)
    generator = torch.Generator().manual_seed(seed)
    scales = torch.rand(6, 1, generator=generator, dtype=torch.float64) * 100 + 1e-3
    scaled = [(a * scales, b * scales.flip(0)) for a, b in layers]
    assert score(scaled, labels) == pytest.approx(score(layers, labels), rel=1e-9)


@law
@given(seeds)
def test_score_depends_only_on_which_samples_share_a_class(seed: int) -> None:
    layers, labels = linear_layers(seed)
    assert score(layers, 7 - labels) == score(layers, labels)


@law
@given(seeds)
def test_repeated_samples_score_lower(seed: int) -> None:
    layers, labels = linear_layers(seed)
    common = [(a + 3, b) for a, b in layers]  # inputs that share most of their direction
    seen, less = measurement(layers, labels), measurement(common, labels)
    assert (
        spread(less[LayerFactors].input_eigenvalues) < spread(seen[LayerFactors].input_eigenvalues)
    ).all()
