"""Zen-score (Lin et al., ICCV 2021): how far noise moves the last feature maps."""

from __future__ import annotations

import math

from nas_search.passes.perturbation import Perturbation
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def zen(measurement: Measurement) -> float:
    """Return log E sum |f(x) - f(x + 0.01 e)| + sum over batch-norms of log sqrt(mean variance).

    Batch-norm removes the scale of every layer from f; the second term restores it, except for a
    batch-norm whose inputs are all zero.
    """
    result = measurement[Perturbation]
    scales = sum(0.5 * math.log(variance) for variance in result.variances if variance > 0)
    return math.log(result.difference) + scales


PROXIES.add(
    ProxyRecord(
        name="zen",
        score=zen,
        normalization=None,
        origin="paper",
        source="Lin et al., ICCV 2021; code idstcv/ZenNAS",
        summary="how far noise moves the feature maps of a network with N(0, 1) weights",
        needs=(Perturbation,),
        init="standard_normal",
        batch_size=16,
        repeats=32,
        formula="log E sum |f(x) - f(x + .01 e)| + sum_BN log sqrt(mean_c variance)",
        caveats="variances of the batch, not the code's running ones; 16 noise images per draw",
    )
)
