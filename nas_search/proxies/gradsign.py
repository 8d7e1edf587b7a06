"""GradSign: agreement of the samples on the signs of their gradients (Zhang & Jia, ICLR 2022).

If the samples' optima lie close together, their gradients at a random point mostly share their
signs: sum_k |sum_i sign(dl_i / dtheta_k)| is large if the optima are dense.
"""

from __future__ import annotations

from nas_search.passes.per_sample import Signs
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement

_SOURCE = "Zhang & Jia, ICLR 2022; code cmu-catalyst/GradSign"


def total(measurement: Measurement) -> float:
    """Return the agreement summed over weights, in [0, n P]."""
    return measurement[Signs].agreement.sum().item()


def mean(measurement: Measurement) -> float:
    """Return the mean agreement per weight, in [0, n]."""
    signs = measurement[Signs]
    return (signs.agreement.sum() / signs.sizes.sum()).item()


PROXIES.add(
    ProxyRecord(
        name="gradsign",
        score=total,
        normalization="sample",
        origin="paper",
        source=_SOURCE,
        summary="agreement of the samples on the sign of each weight's gradient, summed",
        needs=(Signs,),
        formula="sum_k |sum_i sign(dl_i/dtheta_k)|",
        caveats="nearly the number of parameters (rank correlation .99)",
    )
)
PROXIES.add(
    ProxyRecord(
        name="gradsign_mean",
        score=mean,
        normalization="sample",
        origin="ours",
        source=f"after {_SOURCE}",
        summary="agreement of the samples on the sign of a weight's gradient, averaged",
        needs=(Signs,),
        formula="mean_k |sum_i sign(dl_i/dtheta_k)|",
        caveats="ranks negatively on NAS-Bench-201",
    )
)
