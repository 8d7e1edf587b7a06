"""SynFlow (Tanaka et al., NeurIPS 2020): synaptic flow through the weights, without data."""

from __future__ import annotations

import math

from nas_search.passes.synflow import SynapticFlow
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def synflow(measurement: Measurement) -> float:
    """Return log sum |theta dR/dtheta|."""
    return math.log(sum(measurement[SynapticFlow].flows.values()))


PROXIES.add(
    ProxyRecord(
        name="synflow",
        score=synflow,
        normalization=None,
        origin="paper",
        source="Tanaka et al., NeurIPS 2020; code SamsungLabs/zero-cost-nas",
        summary="log of the flow of ones through the absolute weights, in float64",
        needs=(SynapticFlow,),
        formula="log sum |theta dR/dtheta|, theta -> |theta|, batch-norm = identity, input = 1",
        caveats="the sum itself reaches 1e61; uses no image",
    )
)
