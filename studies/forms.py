"""Forms of GradAlign that the study compares; ``studies.gradalign_forms`` makes them scores.

A form is a statistic of each weight's kernel, reduced over weights. K_l are the cosines between the
samples' gradients in weight l, A_l those between the layer's inputs, E_l those between the
gradients with respect to its outputs, P_l the weight's number of elements. ``docs/study.md`` has
the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from nas_search.passes.per_sample import LayerFactors
from nas_search.passes.structure import Depth
from nas_search.proxies import Measurement
from nas_search.proxies.gradalign import EPS, contrast, mean_cosine, spread

Statistic = Callable[[Measurement], Tensor]
"""From a measurement to one number per weight, (L,)."""

Reduce = Callable[[Tensor, Tensor], Tensor]
"""From (L,) numbers and sizes P_l to one."""


def mean_log(eigenvalues: Tensor) -> Tensor:
    """Return log det(K + 1e-6 I) / n from eigenvalues (L, n)."""
    return (eigenvalues.clamp_min(0) + EPS).log().mean(-1)


def entropy(eigenvalues: Tensor) -> Tensor:
    """Return the entropy of the eigenvalues (L, n) as shares of their sum, in [0, log n]."""
    shares = eigenvalues.clamp_min(1e-12) / eigenvalues.shape[-1]
    return -(shares * shares.log()).sum(-1)


def label_contrast(m: Measurement) -> Tensor:
    """Return the mean cosine within classes minus that between classes, of K_l."""
    cosines, labels = m.layer_cosines, m[LayerFactors].labels
    same = labels[:, None] == labels
    others = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return cosines[:, same & others].mean(-1) - cosines[:, ~same].mean(-1)


def between(m: Measurement) -> Tensor:
    """Return minus the mean cosine between classes of K_l, where that is positive."""
    return contrast(m.layer_cosines, m[LayerFactors].labels)


def log_energy(m: Measurement) -> Tensor:
    """Return log sum_i ||g_i||^2 of each weight."""
    return m.grams.diagonal(dim1=-2, dim2=-1).sum(-1).log()


def mean(values: Tensor, sizes: Tensor) -> Tensor:
    return values.mean()


def total(values: Tensor, sizes: Tensor) -> Tensor:
    return values.sum()


def by_root(values: Tensor, sizes: Tensor) -> Tensor:
    return (sizes.sqrt() * values).sum()


def by_size(values: Tensor, sizes: Tensor) -> Tensor:
    return (sizes * values).sum()


def _k(m: Measurement) -> Tensor:
    return m.layer_eigenvalues


def _a(m: Measurement) -> Tensor:
    return m[LayerFactors].input_eigenvalues


def _e(m: Measurement) -> Tensor:
    return m[LayerFactors].error_eigenvalues


def _least(eigenvalues: Tensor) -> Tensor:
    return eigenvalues[:, 0].clamp_min(0)


def _both(m: Measurement, statistic: Callable[[Tensor], Tensor] = spread) -> Tensor:
    return (statistic(_a(m)) * statistic(_e(m))).sqrt()


def _signal(m: Measurement) -> Tensor:
    return (between(m) * m[Depth].layers) ** 0.25


def _whole(m: Measurement) -> Tensor:
    eigenvalues: Tensor = torch.linalg.eigvalsh(m.cosines)
    return eigenvalues[None]


FORMS: dict[str, tuple[str, Statistic, Reduce]] = {
    "layers": ("L", lambda m: torch.ones_like(_k(m)[:, 0]), total),
    "live_params": ("sum_l P_l", lambda m: torch.ones_like(_k(m)[:, 0]), by_size),
    "whole_mean_cosine": ("c of K (I)", lambda m: mean_cosine(m.cosines)[None], mean),
    "whole_log_det": ("log det K / n (II)", lambda m: mean_log(_whole(m)), mean),
    "mean_cosine": ("mean_l c_l", lambda m: mean_cosine(m.layer_cosines), mean),
    "mean_log_det": ("mean_l log det K_l / n", lambda m: mean_log(_k(m)), mean),
    "mean_lambda_min": ("mean_l lambda_min(K_l)", lambda m: _least(_k(m)), mean),
    "mean_entropy": ("mean_l entropy(K_l)", lambda m: entropy(_k(m)), mean),
    "mean_spread": ("mean_l spread(K_l)", lambda m: spread(_k(m)), mean),
    "sum_lambda_min": ("sum_l lambda_min(K_l)", lambda m: _least(_k(m)), total),
    "sum_bounded_log": (
        "sum_l max(0, .5 + log det K_l / n)",
        lambda m: (0.5 + mean_log(_k(m))).clamp_min(0),
        total,
    ),
    "sum_exp_log_det": ("sum_l det(K_l)^(1/n)", lambda m: mean_log(_k(m)).exp(), total),
    "sum_entropy": ("sum_l entropy(K_l)", lambda m: entropy(_k(m)), total),
    "sum_spread": ("sum_l spread(K_l)", lambda m: spread(_k(m)), total),
    "root_lambda_min": ("sum_l P_l^1/2 lambda_min(K_l)", lambda m: _least(_k(m)), by_root),
    "root_spread": ("sum_l P_l^1/2 spread(K_l)", lambda m: spread(_k(m)), by_root),
    "size_lambda_min": ("sum_l P_l lambda_min(K_l)", lambda m: _least(_k(m)), by_size),
    "mean_contrast": ("mean_l (within - between)", label_contrast, mean),
    "sum_contrast": ("sum_l (within - between)", label_contrast, total),
    "mean_between": ("mean_l contrast(K_l)", between, mean),
    "sum_between": ("sum_l contrast(K_l)", between, total),
    "mean_log_energy": ("-mean_l log tr G_l", lambda m: -log_energy(m), mean),
    "inputs_spread": ("sum_l spread(A_l)", lambda m: spread(_a(m)), total),
    "errors_spread": ("sum_l spread(E_l)", lambda m: spread(_e(m)), total),
    "inputs_mean_log": ("mean_l log det A_l / n", lambda m: mean_log(_a(m)), mean),
    "errors_mean_log": ("mean_l log det E_l / n", lambda m: mean_log(_e(m)), mean),
    "sum_factors": ("sum_l (A E)^1/2", _both, total),
    "root_factors": ("sum_l P_l^1/2 (A E)^1/2", _both, by_root),
    "root_contrast": ("sum_l P_l^1/2 c_l^1/4", lambda m: between(m) ** 0.25, by_root),
    "factors_contrast": ("sum_l (A E)^1/2 c_l^1/4", lambda m: _both(m) * between(m) ** 0.25, total),
    "root_k_contrast": (
        "sum_l P_l^1/2 spread(K_l)^1/2 c_l^1/4",
        lambda m: spread(_k(m)).sqrt() * between(m) ** 0.25,
        by_root,
    ),
    "without_depth": (
        "sum_l P_l^1/2 (A E)^1/2 c_l^1/4",
        lambda m: _both(m) * between(m) ** 0.25,
        by_root,
    ),
    "more_depth": (
        "the default with D instead of its root",
        lambda m: _both(m) * between(m) ** 0.25 * m[Depth].layers ** 0.5,
        by_root,
    ),
    "root_factors_root_contrast": (
        "sum_l P_l^1/2 (A E)^1/2 c_l^1/2",
        lambda m: _both(m) * between(m) ** 0.5,
        by_root,
    ),
    "root_factors_lambda_min": (
        "the default with lambda_min instead of the lower quartile",
        lambda m: _both(m, _least) * _signal(m),
        by_root,
    ),
    "root_factors_det": (
        "the default with det^(1/n) instead of the lower quartile",
        lambda m: _both(m, lambda values: mean_log(values).exp()) * _signal(m),
        by_root,
    ),
    "size_factors_contrast": (
        "sum_l P_l (A E)^1/2 c_l^1/4",
        lambda m: _both(m) * between(m) ** 0.25,
        by_size,
    ),
}
"""Formula, statistic and reduction by name; A and E stand for spread(A_l), spread(E_l), and c_l for
contrast(K_l)."""


def powers(size: float, factors: float, opposed: float) -> tuple[str, Statistic, Reduce]:
    """Return the form sum_l P_l^size (A E)^factors c_l^opposed."""

    def statistic(m: Measurement) -> Tensor:
        values = (spread(_a(m)) * spread(_e(m))) ** factors
        return values * between(m) ** opposed if opposed else values

    def reduce(values: Tensor, sizes: Tensor) -> Tensor:
        return (sizes.to(values.dtype) ** size * values).sum()

    return f"sum_l P_l^{size} (A E)^{factors} c_l^{opposed}", statistic, reduce


GRID: dict[str, tuple[str, Statistic, Reduce]] = {
    f"powers_{p}_{a}_{c}": powers(p / 100, a / 100, c / 100)
    for p, a, c in product((25, 50, 75, 100), (25, 50, 75), (0, 25, 50))
}
"""What ``studies.choice`` chooses from, before powers of the depth: exponents in hundredths."""


@dataclass(frozen=True)
class Form:
    """The score of one of :data:`FORMS` or :data:`GRID`.

    It is found by its name, since workers must unpickle it.
    """

    name: str

    def __call__(self, measurement: Measurement) -> float:
        """Return the form's value, higher is better."""
        _, statistic, reduce = (FORMS | GRID)[self.name]
        return reduce(statistic(measurement), measurement[LayerFactors].sizes).item()
