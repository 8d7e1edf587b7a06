"""Correlation of the input Jacobian between images (Mellor et al. 2020; Lopes et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_search.passes.jacobian import InputJacobian
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.fitting import two_of_a_class
from nas_search.proxies.measurement import Measurement
from nas_search.proxies.sums import summed

EPS = 1e-5


def jacob_cov(measurement: Measurement) -> float:
    """Return -sum_k (log(v_k + 1e-5) + 1 / (v_k + 1e-5)), v the eigenvalues of the correlations."""
    v = torch.linalg.eigvalsh(_correlations(measurement[InputJacobian].rows)).clamp_min(0)
    return -float(((v + EPS).log() + 1 / (v + EPS)).sum())


def epe_nas(measurement: Measurement) -> float:
    """Return sum over classes of |sum log(|correlations within the class| + 1e-5)|."""
    jacobian = measurement[InputJacobian]
    labels = jacobian.labels
    classes = (jacobian.rows[labels == label] for label in labels.unique())
    return summed((_correlations(rows).abs() + EPS).log().sum().abs() for rows in classes)


def _correlations(rows: Tensor) -> Tensor:
    """Return Pearson's correlations between rows, (n, n); 1 for a single row."""
    centered = rows - rows.mean(1, keepdim=True)
    units = centered / centered.norm(dim=1, keepdim=True)
    correlations: Tensor = units @ units.T
    return correlations.clamp(-1, 1)


PROXIES.add(
    ProxyRecord(
        name="jacob_cov",
        score=jacob_cov,
        normalization="batch",
        origin="paper",
        source="Mellor et al. 2020 (arXiv 2006.04647v1); code SamsungLabs/zero-cost-nas",
        summary="how uncorrelated the images' input gradients are",
        needs=(InputJacobian,),
        formula="-sum_k (log(v_k + 1e-5) + 1/(v_k + 1e-5)), v = eig corrcoef(d sum logits/dx)",
        caveats="set by the smallest eigenvalues: noisy from draw to draw; dead where J is "
        "only rounding error: DARTS cells without pooling",
    )
)
PROXIES.add(
    ProxyRecord(
        name="epe_nas",
        score=epe_nas,
        normalization="batch",
        origin="paper",
        source="Lopes et al., ICANN 2021; code automl/NASLib",
        summary="correlation of the images' input gradients within each class",
        needs=(InputJacobian,),
        formula="sum_c |sum log(|corrcoef(J_c)| + 1e-5)|",
        caveats="up to 100 classes; depends on the number of images per class in the batch; dead "
        "where J is only rounding error: DARTS cells without pooling",
        unfit=two_of_a_class,
    )
)
