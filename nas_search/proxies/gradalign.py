r"""GradAlign: conflict among per-sample gradients at initialization (Li & Guo, arXiv 2411.19819).

Let g_i be the gradient of sample i's loss with respect to the weights at initialization,
u_i = g_i / ||g_i|| and K = U U^T the matrix of their cosines. One step of gradient descent changes
sample i's loss by -eta <g_i, mean_j g_j>: a sample's loss rises exactly if its gradient opposes the
mean gradient. Less conflict, faster convergence. Two statistics of K measure it:

GradAlign-I    alignment with the mean direction m = mean_j u_j:
               ``mean_i cos(u_i, m) = ||m|| = sqrt((1 + (n - 1) c) / n)``, c the mean off-diagonal
               of K. The scores below report c itself: same ranking at fixed n, 0 for isotropic
               gradients, never below -1/(n - 1).
GradAlign-II   ``log det(K + eps I)``: 0 when the gradients are orthogonal, -inf when they are
               dependent. A large determinant bounds the smallest eigenvalue from below,
               ``lambda_min(K) >= det(K) / e``, and with it the slowest mode of training.

For positive c the two change in opposite directions, so they are two different signals. Both exist
for whole gradients and layer by layer: the same statistic of the K_l of each weight alone, averaged
over the weights that receive gradient.

Our scores use frozen batch statistics. Per-sample statistics, as in the reference codes, center
every map of an image: if cells end in batch-norm and the network in global average pooling, as in
DARTS, the convolutions of the last cell do not affect the logits and receive no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nas_search.passes.per_sample import Grams, LayerFactors, normalized
from nas_search.passes.structure import Depth
from nas_search.proxies.base import PROXIES, ProxyRecord, one_of
from nas_search.proxies.fitting import two_classes
from nas_search.proxies.measurement import Measurement
from nas_search.proxies.sums import summed_each

EPS = 1e-6
"""Ridge of the log determinant: an exactly dependent pair of gradients costs log(1e-6) = -13.8."""

DEPENDENT = 1e-4
"""Eigenvalue of cosines below which directions count as dependent: in single precision, a zero
eigenvalue of a matrix of 64 samples comes out as up to about 1e-6, and its root as 1e-3."""

_PAPER = "Li & Guo, arXiv 2411.19819 (2024)"


def mean_cosine(cosines: Tensor) -> Tensor:
    """Return the mean off-diagonal of K (..., n, n): in [-1/(n - 1), 1]."""
    n = cosines.shape[-1]
    total = cosines.sum((-2, -1)) - cosines.diagonal(dim1=-2, dim2=-1).sum(-1)
    return total / (n * (n - 1))


def log_det(cosines: Tensor, eps: float = EPS) -> Tensor:
    """Return log det(K + eps I) of K (..., n, n): in [n log eps, n log(1 + eps)], about."""
    ridge = eps * torch.eye(cosines.shape[-1], dtype=cosines.dtype, device=cosines.device)
    logabsdet: Tensor = torch.linalg.slogdet(cosines + ridge).logabsdet
    return logabsdet


def whole_i(measurement: Measurement) -> float:
    """GradAlign-I of whole gradients: mean pairwise cosine c, in [-1/(n - 1), 1]."""
    return mean_cosine(measurement.cosines).item()


def whole_ii(measurement: Measurement) -> float:
    """GradAlign-II of whole gradients: log det(K + eps I), at most about 0."""
    return log_det(measurement.cosines).item()


def layerwise_i(*measurements: Measurement) -> list[float]:
    """Mean over weights of each one's mean pairwise cosine, in [-1/(n - 1), 1]."""
    return _means(measurements, mean_cosine)


def layerwise_ii(*measurements: Measurement) -> list[float]:
    """Mean over weights of each one's log det(K_l + eps I), at most about 0."""
    return _means(measurements, log_det)


def _means(
    measurements: Sequence[Measurement], of_layers: Callable[[Tensor], Tensor]
) -> list[float]:
    """Return each measurement's mean of a function of its layers' cosines."""
    grams = [measurement.grams for measurement in measurements]
    values = of_layers(normalized(torch.cat(grams)))
    sums = summed_each(values, [len(own) for own in grams])
    return [total / len(own) for total, own in zip(sums, grams, strict=True)]


def spread(eigenvalues: Tensor) -> Tensor:
    """Return the lower quartile of the eigenvalues (..., n) of cosine matrices: in [0, 1].

    1 if all directions are orthogonal, 0 if more than a quarter of them depend on the rest.

    Args:
        eigenvalues: ascending, so that no sorting is needed.
    """
    below, part = divmod((eigenvalues.shape[-1] - 1) / 4, 1)
    above = min(int(below) + 1, eigenvalues.shape[-1] - 1)
    quartile = eigenvalues[..., int(below)].lerp(eigenvalues[..., above], part)
    return (quartile - DEPENDENT).clamp_min(0)


def contrast(cosines: Tensor, labels: Tensor) -> Tensor:
    """Return how strongly samples of different classes oppose each other, in [0, 1].

    Args:
        cosines: K (..., n, n).
        labels: (n,); at least two classes.

    Returns:
        Minus the mean of K_ij over pairs of different classes; 0 if that mean is positive.
    """
    apart = (labels[:, None] != labels).to(cosines)  # indexing by a mask would wait for the GPU
    return -((cosines * apart).sum((-2, -1)) / apart.sum()).clamp_max(0)


def gradalign(*measurements: Measurement) -> list[float]:
    """Sum over weights of sqrt(P_l spread(A_l) spread(E_l) sqrt(contrast(K_l) D)), at least 0."""
    factors = [measurement[LayerFactors] for measurement in measurements]
    grams = [measurement[Grams] for measurement in measurements]
    cosines = normalized(
        torch.cat([_of_factors(*both) for both in zip(grams, factors, strict=True)])
    )
    inputs, errors, sizes = (
        torch.cat(parts)
        for parts in zip(
            *((own.input_eigenvalues, own.error_eigenvalues, own.sizes) for own in factors),
            strict=True,
        )
    )
    diversity = spread(inputs) * spread(errors)
    signal = contrast(cosines, factors[0].labels)
    terms = (sizes * diversity * signal.sqrt()).sqrt()
    sums = summed_each(terms, [len(own.layers) for own in factors])
    depths = [measurement[Depth].layers for measurement in measurements]
    return [total * depth**0.25 for total, depth in zip(sums, depths, strict=True)]


def _of_factors(grams: Grams, factors: LayerFactors) -> Tensor:
    """Return the Gram matrices of the layers that have factors."""
    if factors.layers == grams.layers:
        return grams.grams
    # Biases and batch-norm count too, and have no factors.
    index = {name: number for number, name in enumerate(grams.layers)}
    return grams.grams[[index[name] for name in factors.layers]]


PROXIES.add(
    ProxyRecord(
        name="gradalign",
        score=one_of(gradalign),
        scores=gradalign,
        normalization="frozen",
        origin="ours",
        source=f"docs/study.md, after both variants of {_PAPER}",
        summary="diversity of the factors of per-sample gradients and contrast between classes",
        needs=(Grams, LayerFactors, Depth),
        formula="sum_l sqrt(P_l spread(A_l) spread(E_l) sqrt(contrast(K_l) D))",
        batch_size=32,
        unfit=two_classes,
    )
)
PROXIES.add(
    ProxyRecord(
        name="gradalign_i",
        score=whole_i,
        normalization="sample",
        origin="reconstructed",
        source=_PAPER,
        summary="GradAlign-I: mean cosine between whole per-sample gradients",
        formula="mean_(i!=j) K_ij",
        caveats="nearly noise: tau .37 between two draws",
    )
)
PROXIES.add(
    ProxyRecord(
        name="gradalign_ii",
        score=whole_ii,
        normalization="sample",
        origin="reconstructed",
        source=_PAPER,
        summary="GradAlign-II: log determinant of the cosines between whole per-sample gradients",
        formula="log det(K + 1e-6 I)",
        caveats="blind to sign; other direction than variant I",
    )
)
PROXIES.add(
    ProxyRecord(
        name="gradalign_i_layerwise",
        score=one_of(layerwise_i),
        scores=layerwise_i,
        normalization="frozen",
        origin="ours",
        source=f"GradAlign-I ({_PAPER}) layer by layer",
        summary="GradAlign-I of each weight alone, averaged over weights",
        formula="mean_l mean_(i!=j) K_l,ij",
    )
)
PROXIES.add(
    ProxyRecord(
        name="gradalign_ii_layerwise",
        score=one_of(layerwise_ii),
        scores=layerwise_ii,
        normalization="frozen",
        origin="ours",
        source=f"GradAlign-II ({_PAPER}) layer by layer",
        summary="GradAlign-II of each weight alone, averaged over weights",
        formula="mean_l log det(K_l + 1e-6 I)",
        caveats="falls behind counts on DARTS",
    )
)
