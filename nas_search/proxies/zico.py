"""ZiCo (Li et al., ICLR 2023): gradients that are large and the same from batch to batch."""

from __future__ import annotations

import math

from nas_search.passes import HalfGradients
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def zico(measurement: Measurement) -> float:
    """Return sum_l log sum_w (mean_b |g_w| / std_b |g_w|) over two batches; zero std is skipped."""
    score = 0.0
    for gradients in measurement[HalfGradients].gradients.values():
        sizes = gradients.abs()
        deviation = sizes.std(0, correction=0)
        varying = deviation > 0
        ratio = (sizes.mean(0)[varying] / deviation[varying]).sum().item()
        if ratio > 0:
            score += math.log(ratio)
    return score


PROXIES.add(
    ProxyRecord(
        name="zico",
        score=zico,
        normalisation="batch",
        origin="paper",
        source="Li et al., ICLR 2023; code SLDGroup/ZiCo",
        summary="gradients that are large and change little between two batches",
        needs=(HalfGradients,),
        batch_size=128,
        formula="sum_l log sum_w mean_b |g_w| / std_b |g_w|, b = halves of the probe batch",
        traps="the code takes std of the signed g and adds the first batch's g to the second's",
    )
)
