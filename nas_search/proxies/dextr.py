"""Dextr (Asthana et al., TMLR 2025): channels that differ, and logits that bend."""

from __future__ import annotations

import math

from nas_search.passes.base import DeadNetwork
from nas_search.passes.single_image import SingleImage
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def dextr(measurement: Measurement) -> float:
    """Return a b / (a + b), a and b the logs of one plus conditions and curvature.

    Raises:
        DeadNetwork: the logits do not change along the circle but for rounding.
    """
    seen = measurement[SingleImage]
    if seen.curvature is None:
        raise DeadNetwork("the logits do not change along a circle of images, but for rounding")
    a, b = math.log1p(sum(seen.conditions)), math.log1p(seen.curvature)
    return a * b / (a + b) if a + b else 0.0


PROXIES.add(
    ProxyRecord(
        name="dextr",
        score=dextr,
        normalization="batch",
        origin="paper",
        source="Asthana et al., TMLR 2025, arXiv 2508.12977; code rohanasthana/Dextr",
        summary="channels that are not collinear, and logits that bend along a circle of images",
        needs=(SingleImage,),
        formula="ab/(a+b), a = log(1 + sum s_min/s_max of feature maps), b = log(1 + curvature)",
        caveats=(
            "every module once, where the code counts containers again; one image, no label; "
            "NaN where all features are normalized before they are averaged, as in cells of "
            "convolutions only of DARTS; with frozen statistics of one image mostly rounding"
        ),
    )
)
