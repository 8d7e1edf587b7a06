"""NASWOT and SWAP: ReLUs that the images switch on (Mellor et al. 2021; Peng et al. 2024)."""

from __future__ import annotations

import torch

from nas_search.passes.activations import CodeAgreement, PatternCount
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def naswot(measurement: Measurement) -> float:
    """Return log |det K|, K_ij the number of units that images i and j switch alike."""
    return float(torch.linalg.slogdet(measurement[CodeAgreement].kernel).logabsdet)


def swap(measurement: Measurement) -> float:
    """Return the number of distinct patterns over the images, at most 2^n."""
    return float(measurement[PatternCount].distinct)


PROXIES.add(
    ProxyRecord(
        name="naswot",
        score=naswot,
        normalization="batch",
        origin="paper",
        source="Mellor et al., ICML 2021; code BayesWatch/nas-without-training",
        summary="how differently the images switch the network's ReLUs",
        needs=(CodeAgreement,),
        batch_size=128,
        formula="log |det K|, K_ij = number of ReLU units that i and j switch alike",
        caveats="ReLUs from which no path leads to the logits do not count; only ReLU and ReLU6 do",
    )
)
PROXIES.add(
    ProxyRecord(
        name="swap",
        score=swap,
        normalization="batch",
        origin="paper",
        source="Peng et al., ICLR 2024; code pym1024/SWAP",
        summary="number of distinct patterns of ReLU units over the images",
        needs=(PatternCount,),
        batch_size=16,
        formula="number of distinct columns of the (n, units) on/off matrix",
        caveats="published figures multiply by exp(-(P - mu)^2 / sigma), tuned per space: left out",
    )
)
