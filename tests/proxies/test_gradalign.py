"""The two variants of the paper against loops over numbers, and their mathematical laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nas_search.passes.per_sample import Grams, normalized
from nas_search.proxies import PROXIES, Measurement
from nas_search.proxies.gradalign import EPS, log_det, mean_cosine
from nas_search.testing.proxies import measurement, random_gradients

law = settings(max_examples=40, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)
WHOLE = ("gradalign_i", "gradalign_ii")
LAYERWISE = ("gradalign_i_layerwise", "gradalign_ii_layerwise")
ALL = (*WHOLE, *LAYERWISE)


def score(name: str, gradients: list[Tensor]) -> float:
    return PROXIES.get(name).score(measurement(gradients))


def naive_cosines(rows: Tensor) -> list[list[float]]:
    """Return all cosines between rows by sums over single numbers; 0 for a row of zeros."""
    values = rows.tolist()

    def cosine(a: list[float], b: list[float]) -> float:
        norms = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
        return math.fsum(x * y for x, y in zip(a, b, strict=True)) / norms if norms else 0.0

    return [[cosine(a, b) for b in values] for a in values]


def naive_mean_cosine(rows: Tensor) -> float:
    cosines = naive_cosines(rows)
    pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
    return math.fsum(cosines[i][j] for i, j in pairs) / len(pairs)


def naive_log_det(rows: Tensor) -> float:
    return sum(math.log(abs(v + EPS)) for v in np.linalg.eigvalsh(naive_cosines(rows)))


@law
@given(seeds)
def test_all_four_scores_equal_their_formulas(seed: int) -> None:
    layers = random_gradients(seed)
    whole = torch.cat(layers, 1)
    expected = {
        "gradalign_i": naive_mean_cosine(whole),
        "gradalign_ii": naive_log_det(whole),
        "gradalign_i_layerwise": np.mean([naive_mean_cosine(rows) for rows in layers]),
        "gradalign_ii_layerwise": np.mean([naive_log_det(rows) for rows in layers]),
    }
    for name, value in expected.items():
        # A layer with fewer elements than samples has eigenvalues 0: log(1e-6 +- 1e-15).
        assert score(name, layers) == pytest.approx(value, rel=1e-9, abs=1e-8), name


@law
@given(seeds)
def test_mean_cosine_is_the_length_of_the_mean_direction(seed: int) -> None:
    rows = torch.cat(random_gradients(seed), 1)
    n = len(rows)
    mean = (rows / rows.norm(dim=1, keepdim=True)).mean(0)
    c = score("gradalign_i", [rows])
    assert mean.square().sum().item() == pytest.approx((1 + (n - 1) * c) / n, abs=1e-12)


@law
@given(seeds)
def test_scores_stay_in_their_bounds(seed: int) -> None:
    layers = random_gradients(seed)
    n = len(layers[0])
    rounding = 1e-12
    for name in ("gradalign_i", "gradalign_i_layerwise"):
        assert -1 / (n - 1) - rounding <= score(name, layers) <= 1 + rounding
    for name in ("gradalign_ii", "gradalign_ii_layerwise"):
        assert n * math.log(EPS) - 1e-6 <= score(name, layers) <= n * math.log1p(EPS) + rounding


def test_scores_reach_their_bounds() -> None:
    n = 5
    same = torch.ones(n, 3, dtype=torch.float64)
    orthogonal = torch.eye(n, dtype=torch.float64) * 7
    opposed = torch.eye(n, dtype=torch.float64) - 1 / n  # a regular simplex
    assert score("gradalign_i", [same]) == pytest.approx(1)
    assert score("gradalign_i", [orthogonal]) == 0
    assert score("gradalign_i", [opposed]) == pytest.approx(-1 / (n - 1))
    assert score("gradalign_ii", [orthogonal]) == pytest.approx(n * math.log1p(EPS))
    expected = math.log(n + EPS) + (n - 1) * math.log(EPS)
    assert score("gradalign_ii", [same]) == pytest.approx(expected)


@law
@given(seeds)
def test_scores_do_not_depend_on_the_length_of_a_gradient(seed: int) -> None:
    layers = random_gradients(seed)
    rng = np.random.default_rng(seed)
    factors = torch.from_numpy(10 ** rng.uniform(-4, 4, size=(len(layers[0]), 1)))
    scaled = [rows * factors for rows in layers]
    for name in ALL:
        assert score(name, scaled) == pytest.approx(score(name, layers), rel=1e-7, abs=1e-7), name


@law
@given(seeds)
def test_scores_do_not_depend_on_the_coordinates_of_parameter_space(seed: int) -> None:
    layers = random_gradients(seed)
    rng = np.random.default_rng(seed)
    rotated = [
        rows @ torch.from_numpy(np.linalg.qr(rng.normal(size=(rows.shape[1],) * 2))[0])
        for rows in layers
    ]
    for name in ALL:
        assert score(name, rotated) == pytest.approx(score(name, layers), rel=1e-7, abs=1e-7), name


@law
@given(seeds)
def test_only_the_first_variant_depends_on_the_sign_of_a_gradient(seed: int) -> None:
    layers = random_gradients(seed)
    flipped = [rows.clone() for rows in layers]
    for rows in flipped:
        rows[0] *= -1
    for name in ("gradalign_ii", "gradalign_ii_layerwise"):
        assert score(name, flipped) == pytest.approx(score(name, layers), rel=1e-7, abs=1e-7), name
    aligned = [torch.ones(4, 2, dtype=torch.float64)]
    against = [aligned[0] * torch.tensor([[-1.0], [1], [1], [1]])]
    assert score("gradalign_i", against) == pytest.approx(0)  # 3 pairs agree, 3 oppose


@law
@given(seeds)
def test_less_conflict_in_one_pair_scores_higher(seed: int) -> None:
    # Two samples at angle t: I falls with t, II rises until they are orthogonal.
    t = np.sort(np.random.default_rng(seed).uniform(0.01, math.pi / 2, size=2))
    near, far = ([torch.tensor([[1.0, 0], [math.cos(a), math.sin(a)]]).double()] for a in t)
    if t[1] - t[0] > 1e-3:
        assert score("gradalign_i", near) > score("gradalign_i", far)
        assert score("gradalign_ii", far) > score("gradalign_ii", near)


def test_sample_without_gradient_has_zero_cosines() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [4.0, -3.0]], dtype=torch.float64)
    cosines = normalized(rows @ rows.T)
    assert torch.equal(cosines, torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]]).double())
    assert mean_cosine(cosines).item() == 0
    assert log_det(cosines).item() == pytest.approx(2 * math.log1p(EPS) + math.log(EPS))


def test_whole_and_layerwise_scores_equal_those_computed_by_hand() -> None:
    # Layer a: equal gradients of length 3. Layer b: orthogonal ones of lengths 4 and 4.
    a = torch.tensor([[9.0, 9.0], [9.0, 9.0]])
    b = torch.tensor([[16.0, 0.0], [0.0, 16.0]])
    seen = Measurement(Grams(("a", "b"), torch.stack([a, b]).double()))
    assert PROXIES.get("gradalign_i").score(seen) == pytest.approx(9 / 25)
    assert PROXIES.get("gradalign_i_layerwise").score(seen) == pytest.approx((1 + 0) / 2)
    whole = math.log((1 + EPS) ** 2 - (9 / 25) ** 2)
    assert PROXIES.get("gradalign_ii").score(seen) == pytest.approx(whole)
    layers = (math.log((1 + EPS) ** 2 - 1) + 2 * math.log(1 + EPS)) / 2
    assert PROXIES.get("gradalign_ii_layerwise").score(seen) == pytest.approx(layers, rel=1e-9)


def test_batched_log_det_equals_that_of_each_matrix() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, 9)))
    stack = torch.stack([normalized(r @ r.T) for r in rows])
    for whole, one in zip(log_det(stack), stack, strict=True):
        assert whole.item() == pytest.approx(log_det(one).item(), rel=1e-12)
