"""WRCor (Jing et al., Neurocomputing 2025): how differently images make the ReLUs respond."""

from __future__ import annotations

import torch

from nas_search.passes.base import DeadNetwork
from nas_search.passes.response_correlations import ResponseCorrelations
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def wrcor(measurement: Measurement) -> float:
    """Return log |det K| of the summed correlations K.

    Raises:
        DeadNetwork: K is singular: two images make all ReLUs respond alike.
    """
    value = float(torch.linalg.slogdet(measurement[ResponseCorrelations].kernel).logabsdet)
    if value == float("-inf"):
        raise DeadNetwork("two images make all ReLUs respond alike")
    return value


PROXIES.add(
    ProxyRecord(
        name="wrcor",
        score=wrcor,
        normalization="batch",
        origin="paper",
        source="Jing et al., Neurocomputing 2025, arXiv 2507.08841; code kunjing96/ZSNAS-WRCor",
        summary="how differently the images make the ReLUs respond, later cells counting more",
        needs=(ResponseCorrelations,),
        formula="log |det K|, K = sum over ReLUs of 2^cell (|corr inputs| + |corr gradients|)",
        caveats="networks with a list of cells; layers within a cell weigh alike, as in the code",
    )
)
