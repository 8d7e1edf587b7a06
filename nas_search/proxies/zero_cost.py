r"""Pruning criteria summed over a network (Abdelfattah et al., ICLR 2021, "Zero-cost proxies").

With g the gradient of the batch's mean cross-entropy in true train mode and theta the weights of
convolutions and linear layers::

    snip       sum |theta g|           change of the loss if a weight is removed
    plain      sum theta g             the same with sign
    grad_norm  sum_l ||g_l||
    l2_norm    sum_l ||theta_l||       needs no data
    fisher     sum over weights of 1/2 mean_i (sum_hw a dL/da)^2 of their output channel
    grasp      sum -theta (H g)        change of the gradient's norm if a weight is removed
"""

from __future__ import annotations

from nas_search.passes.hessian import HessianGradient
from nas_search.passes.per_sample import BatchGradient, ChannelFisher
from nas_search.passes.structure import Weights
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement
from nas_search.proxies.sums import summed


def snip(measurement: Measurement) -> float:
    """Return sum |theta g|, at least 0."""
    result = measurement[BatchGradient]
    return summed((w * result.gradients[k]).abs().sum() for k, w in result.weights.items())


def plain(measurement: Measurement) -> float:
    """Return sum theta g."""
    result = measurement[BatchGradient]
    return summed((w * result.gradients[k]).sum() for k, w in result.weights.items())


def grad_norm(measurement: Measurement) -> float:
    """Return the sum over layers of the gradient's Euclidean norm."""
    return summed(g.norm() for g in measurement[BatchGradient].gradients.values())


def l2_norm(measurement: Measurement) -> float:
    """Return the sum over layers of the weights' Euclidean norm."""
    return summed(w.norm() for w in measurement[Weights].weights.values())


def fisher(measurement: Measurement) -> float:
    """Return the sum over weights of their channel's 1/2 mean_i (sum_hw a dL/da)^2, at least 0."""
    result = measurement[ChannelFisher]
    return summed(
        count * layer.sum() for layer, count in zip(result.layers, result.weights, strict=True)
    )


def grasp(measurement: Measurement) -> float:
    """Return sum -theta (H g)."""
    result = measurement[HessianGradient]
    return -summed((w * result.products[k]).sum() for k, w in result.weights.items())


_CODE = "code SamsungLabs/zero-cost-nas"
_SOURCES = {
    "snip": f"Lee et al., ICLR 2019; {_CODE}",
    "plain": f"Mozer & Smolensky, NeurIPS 1988; {_CODE}",
    "grad_norm": f"Abdelfattah et al., ICLR 2021; {_CODE}",
    "l2_norm": f"Abdelfattah et al., ICLR 2021; {_CODE}",
    "fisher": f"Turner et al., ICLR 2020; {_CODE}",
    "grasp": f"Wang et al., ICLR 2020; {_CODE}",
}

PROXIES.add(
    ProxyRecord(
        name="snip",
        score=snip,
        normalization="batch",
        origin="paper",
        source=_SOURCES["snip"],
        summary="saliency of the weights: |weight times gradient|, summed",
        needs=(BatchGradient,),
        formula="sum |theta g|",
    )
)
PROXIES.add(
    ProxyRecord(
        name="plain",
        score=plain,
        normalization="batch",
        origin="paper",
        source=_SOURCES["plain"],
        summary="signed saliency of the weights: weight times gradient, summed",
        needs=(BatchGradient,),
        formula="sum theta g",
        caveats="batch-norm after a weight makes its sum zero (Euler): only the head's is left",
    )
)
PROXIES.add(
    ProxyRecord(
        name="grad_norm",
        score=grad_norm,
        normalization="batch",
        origin="paper",
        source=_SOURCES["grad_norm"],
        summary="norm of the batch gradient, summed over layers",
        needs=(BatchGradient,),
        formula="sum_l ||g_l||",
    )
)
PROXIES.add(
    ProxyRecord(
        name="l2_norm",
        score=l2_norm,
        normalization=None,
        origin="paper",
        source=_SOURCES["l2_norm"],
        summary="norm of the weights, summed over layers",
        needs=(Weights,),
        formula="sum_l ||theta_l||",
        caveats="uses no image: a count of layers by their width",
    )
)
PROXIES.add(
    ProxyRecord(
        name="fisher",
        score=fisher,
        normalization="batch",
        origin="paper",
        source=_SOURCES["fisher"],
        summary="saliency of output channels, summed over the weights of each",
        needs=(ChannelFisher,),
        formula="sum_c fan_in_c 1/2 mean_i (sum_hw a dL/da)^2",
        caveats="the code counts a channel once per weight (fan_in); papers write sum_c",
    )
)
PROXIES.add(
    ProxyRecord(
        name="grasp",
        score=grasp,
        normalization="batch",
        origin="paper",
        source=_SOURCES["grasp"],
        summary="how the gradient's norm reacts to removing weights, summed",
        needs=(HessianGradient,),
        formula="sum -theta (H g)",
        caveats="the reference code's sign, not the paper's; two backward passes",
    )
)
