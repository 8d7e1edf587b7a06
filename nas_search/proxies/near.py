"""NEAR (Husistein, Reiher and Eckhoff, ICLR 2025): effective ranks of activations."""

from __future__ import annotations

from nas_search.passes.effective_ranks import EffectiveRanks
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def near(measurement: Measurement) -> float:
    """Return the sum of the effective ranks of all layers, before and after activation."""
    return float(sum(measurement[EffectiveRanks].ranks))


PROXIES.add(
    ProxyRecord(
        name="near",
        score=near,
        normalization="batch",
        origin="paper",
        source="Husistein, Reiher and Eckhoff, ICLR 2025, arXiv 2408.08776; code ReiherGroup/NEAR",
        summary="effective rank of what layers and activations give, summed",
        needs=(EffectiveRanks,),
        formula="sum over layers and activations of exp(entropy of normalized singular values)",
        caveats="as many rows as columns are taken from the middle; the code draws where",
    )
)
