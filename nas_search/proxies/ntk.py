"""Condition of the tangent kernel at initialization (Chen et al., ICLR 2021, TE-NAS)."""

from __future__ import annotations

import torch

from nas_search.passes.logit_kernel import LogitKernel
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def ntk_cond(measurement: Measurement) -> float:
    """Return -lambda_max / lambda_min, at most -1.

    The smallest eigenvalue is at least the rounding error: the condition is at most 1/eps.
    """
    result = measurement[LogitKernel]
    values = torch.linalg.eigvalsh(result.kernel)
    smallest, largest = float(values[0]), float(values[-1])
    return -largest / max(smallest, result.eps * largest)


PROXIES.add(
    ProxyRecord(
        name="ntk_cond",
        score=ntk_cond,
        normalization="batch",
        origin="paper",
        source="Chen et al., ICLR 2021 (TE-NAS); code VITA-Group/TENAS",
        summary="negative condition number of the tangent kernel of the summed logits",
        needs=(LogitKernel,),
        init="kaiming_fan_out",
        repeats=3,
        formula="-lambda_max/lambda_min of J J^T, J_i = d(sum logits_i)/d(weights)",
        caveats="n backward passes in true train mode; set by one eigenvalue: noisy",
    )
)
