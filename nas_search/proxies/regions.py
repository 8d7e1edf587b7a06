"""Linear regions of a narrow network (Chen et al., ICLR 2021, TE-NAS)."""

from __future__ import annotations

from nas_search.passes.regions import LinearRegions
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def linear_regions(measurement: Measurement) -> float:
    """Return the number of distinct ReLU patterns among 3,000 crops.

    The code's sum_i 1 / #{j: pattern_j = pattern_i} is that number.
    """
    return float(measurement[LinearRegions].distinct)


PROXIES.add(
    ProxyRecord(
        name="linear_regions",
        score=linear_regions,
        normalization=None,
        origin="reconstructed",
        source="Chen et al., ICLR 2021 (TE-NAS); code VITA-Group/TENAS",
        summary="number of linear pieces of a narrow network that crops of the images fall into",
        needs=(LinearRegions,),
        init="kaiming_normal",
        repeats=3,
        formula="number of distinct ReLU patterns, one channel wide, 3,000 crops 1 x 5 x 5",
        caveats="saturates at the number of crops; the code crops 3 x 3, our skeletons need 5 x 5",
    )
)
