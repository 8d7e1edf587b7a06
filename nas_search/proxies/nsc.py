"""Neural spectral capacity (Zhu, Zhao and Lu 2026): singular values, from the shapes alone."""

from __future__ import annotations

import math

from nas_search.passes.weight_shapes import WeightShapes
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def capacity(rows: int, columns: int) -> float:
    """Return the expected sum of ln(1 + s^2) over the singular values s of a random matrix.

    Its entries are independent of variance 2 / (rows + columns) (Glorot and Bengio 2010). In large
    matrices the squares of the singular values follow the law of Marchenko and Pastur; the integral
    over it, the Shannon transform, has a closed form (Tulino and Verdu 2004).
    """
    low, high = sorted((rows, columns))
    ratio, power = low / high, 2 * high / (rows + columns)
    root = math.sqrt(ratio)
    upper, lower = (math.sqrt(power * (1 + sign * root) ** 2 + 1) for sign in (1, -1))
    quarter = (upper - lower) ** 2 / 4
    return low * (
        math.log1p(power - quarter)
        + math.log1p(power * ratio - quarter) / ratio
        - quarter / (power * ratio)
    )


def nsc(measurement: Measurement) -> float:
    """Return the sum of the capacities of all weight matrices."""
    shapes = measurement[WeightShapes].shapes
    return math.fsum(count * capacity(rows, columns) for rows, columns, count in shapes)


PROXIES.add(
    ProxyRecord(
        name="nsc",
        score=nsc,
        normalization=None,
        origin="paper",
        source="Zhu, Zhao and Lu, arXiv 2609.23087; code Optima-CityU/neural-spectral-capacity",
        summary="log det(I + W^T W) that random weights of these shapes have, summed over layers",
        needs=(WeightShapes,),
        formula="sum over weight matrices of E sum ln(1 + s^2), s the singular values, "
        "by the law of Marchenko and Pastur",
        caveats="of the matrices as built, classifier and dead branches too; the code reads other "
        "shapes from FlexiBERT's specifications; uses no image",
    )
)
