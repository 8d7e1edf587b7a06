"""ZiCo (Li et al., ICLR 2023): gradients that are large and the same from batch to batch."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_search.passes.two_batches import TwoBatchGradients
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.fitting import two_halves
from nas_search.proxies.measurement import Measurement
from nas_search.proxies.sums import summed


def zico(measurement: Measurement) -> float:
    """Return sum_l log sum_w (mean_b |g_w| / std_b |g_w|) over two batches; zero std is skipped."""
    return summed(
        _log_ratio(pair.abs()) for pair in measurement[TwoBatchGradients].gradients.values()
    )


def _log_ratio(sizes: Tensor) -> Tensor:
    """Return a layer's term from the sizes (2, P) of its gradients; 0 if all are skipped."""
    deviation = sizes.std(0, correction=0)
    ratio = torch.where(deviation > 0, sizes.mean(0) / deviation, 0).sum()
    return torch.where(ratio > 0, ratio.log(), 0)


PROXIES.add(
    ProxyRecord(
        name="zico",
        score=zico,
        normalization="batch",
        origin="paper",
        source="Li et al., ICLR 2023; code SLDGroup/ZiCo",
        summary="gradients that are large and change little between two batches",
        needs=(TwoBatchGradients,),
        batch_size=128,
        formula="sum_l log sum_w mean_b |g_w| / std_b |g_w|, b = halves of the probe batch",
        caveats="the code takes std of the signed g and adds the first batch's g to the second's",
        unfit=two_halves,
    )
)
