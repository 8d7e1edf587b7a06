"""The three scores of AZ-NAS (Lee & Ham, CVPR 2024); the fourth is FLOPs."""

from __future__ import annotations

from itertools import pairwise

from nas_search.passes.cell_features import CellFeatures
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.fitting import multiple_of_four
from nas_search.proxies.measurement import Measurement

UNTRAINABLE = -1e6
"""Trainability of a cell that is the identity for gradients or blocks them, about -1/(0 + 1e-6)."""


def expressivity(measurement: Measurement) -> float:
    """Return the summed entropy of the channels' principal components, at least 0."""
    return float(sum(measurement[CellFeatures].entropies))


def progressivity(measurement: Measurement) -> float:
    """Return the smallest growth of the entropy from one cell to the next."""
    entropies = measurement[CellFeatures].entropies
    return min(after - before for before, after in pairwise(entropies))


def trainability(measurement: Measurement) -> float:
    """Return the mean over cells of 2 - s - 1/s, s the gain of gradients; 0 for s = 1."""
    gains = measurement[CellFeatures].gains
    cells = [UNTRAINABLE if s is None else 2 - s - 1 / (s + 1e-6) for s in gains]
    return sum(cells) / len(cells)


_SOURCE = "Lee & Ham, CVPR 2024; code cvlab-yonsei/AZ-NAS"

PROXIES.add(
    ProxyRecord(
        name="az_expressivity",
        score=expressivity,
        normalization="batch",
        origin="paper",
        source=_SOURCE,
        summary="entropy of the principal components of feature maps, summed over cells",
        needs=(CellFeatures,),
        init="kaiming_normal",
        formula="sum_l -sum_c p_lc log p_lc, p_l = eigenvalues of channel covariance / their sum",
        caveats="of noise images, not of the probe batch; the stem's feature map counts too",
        unfit=multiple_of_four,
    )
)
PROXIES.add(
    ProxyRecord(
        name="az_progressivity",
        score=progressivity,
        normalization="batch",
        origin="paper",
        source=_SOURCE,
        summary="smallest growth of expressivity from one cell to the next",
        needs=(CellFeatures,),
        init="kaiming_normal",
        formula="min_l (e_(l+1) - e_l), e_l the entropy of cell l",
        caveats="of noise images: with real ones it ranks no cells",
        unfit=multiple_of_four,
    )
)
PROXIES.add(
    ProxyRecord(
        name="az_trainability",
        score=trainability,
        normalization="batch",
        origin="paper",
        source=_SOURCE,
        summary="how close to 1 the gain of gradients through each cell is",
        needs=(CellFeatures,),
        init="kaiming_normal",
        formula="mean_l (2 - s_l - 1/s_l), s_l the largest singular value of cell l's Jacobian",
        caveats="a cell that is the identity gives -inf in the code; here -1e6, ranked the same",
        unfit=multiple_of_four,
    )
)
