"""MeCo (Jiang et al., NeurIPS 2023): correlation of channels on one image of noise."""

from __future__ import annotations

from nas_search.passes.channels import ChannelCorrelations
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def meco(measurement: Measurement) -> float:
    """Return the sum over module outputs of the smallest eigenvalue of the correlations."""
    return float(sum(measurement[ChannelCorrelations].smallest))


PROXIES.add(
    ProxyRecord(
        name="meco",
        score=meco,
        normalization="batch",
        origin="paper",
        source="Jiang et al., NeurIPS 2023; code HamsterMimi/MeCo",
        summary="smallest eigenvalue of the channels' correlations, summed over modules",
        needs=(ChannelCorrelations,),
        formula="sum over feature maps of lambda_min(corrcoef of channels), one noise image",
        caveats="every module once; the code counts containers again and takes 64 x 64 noise",
    )
)
