"""VKDNW (Tybl & Neumann, CVPR 2025): how evenly the information on the weights is spread."""

from __future__ import annotations

import torch

from nas_search.passes.fisher_information import FisherInformation
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement

TINY = 1e-10
"""Added to sums and shares as in the code, so that a spectrum of zeros has entropy 0."""


def vkdnw(measurement: Measurement) -> float:
    """Return T + the entropy of the spectrum's nine deciles, in [T, T + log 9].

    The deciles leave out the ends of the spectrum, which are numerically unstable. T, the number of
    parameter tensors, groups networks by size; the entropy orders them within a group.
    """
    eigenvalues = measurement[FisherInformation].eigenvalues
    tenths = torch.arange(1, 10, dtype=torch.float64, device=eigenvalues.device) / 10
    deciles = eigenvalues.quantile(tenths)
    shares = deciles / (deciles.sum() + TINY)
    return len(eigenvalues) - (shares * (shares + TINY).log()).sum().item()


PROXIES.add(
    ProxyRecord(
        name="vkdnw",
        score=vkdnw,
        normalization="eval",
        origin="paper",
        source="Tybl & Neumann, CVPR 2025; code ondratybl/VKDNW",
        summary="number of weight tensors, then how evenly the information on them is spread",
        needs=(FisherInformation,),
        init="kaiming_normal",
        formula="T - sum_k q_k log q_k, q = deciles of the Fisher spectrum / their sum",
        caveats="ranks by layers first; with many dead branches all deciles but the last are 0",
    )
)
