"""Scores without gradients: sizes, depth and chance. The baselines of every comparison."""

from __future__ import annotations

import hashlib

from nas_search.passes import Facts
from nas_search.passes.structure import Depth, LiveParameters
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def params(measurement: Measurement) -> float:
    """Return the number of trainable parameters, as built."""
    return float(measurement[Facts].params)


def params_live(measurement: Measurement) -> float:
    """Return the number of trainable parameters on paths from image to logits."""
    return float(measurement[LiveParameters].count)


def flops(measurement: Measurement) -> float:
    """Return the multiply-accumulates of convolutions and linear layers for one image."""
    return float(measurement[Facts].macs)


def depth(measurement: Measurement) -> float:
    """Return the number of convolutions and linear layers on the longest path."""
    return float(measurement[Depth].layers)


def chance(measurement: Measurement) -> float:
    """Return a number in [0, 1) drawn from the seed, the draw and the network's canonical form."""
    facts = measurement[Facts]
    text = f"{facts.seed}/{facts.draw}/{facts.key}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) / 2**53


PROXIES.add(
    ProxyRecord(
        name="params",
        score=params,
        normalization=None,
        origin="paper",
        source="count",
        summary="number of trainable parameters, as built",
        needs=(Facts,),
        formula="P",
        caveats="counts dead branches too; the network is not run, so dead ones have a score",
    )
)
PROXIES.add(
    ProxyRecord(
        name="params_live",
        score=params_live,
        normalization=None,
        origin="ours",
        source="count",
        summary="number of trainable parameters, dead branches cut off",
        needs=(LiveParameters,),
        formula="P of the layers on a path from image to logits",
        caveats="not what papers call #params; a dead network has none",
    )
)
PROXIES.add(
    ProxyRecord(
        name="flops",
        score=flops,
        normalization=None,
        origin="paper",
        source="count",
        summary="multiply-accumulates of convolutions and linear layers for one image",
        needs=(Facts,),
        formula="MACs of Conv2d and Linear",
        caveats="NAS-Bench-201's table adds 3 per element for ReLU with batch-norm, 9 for pooling",
    )
)
PROXIES.add(
    ProxyRecord(
        name="depth",
        score=depth,
        normalization=None,
        origin="paper",
        source="count",
        summary="number of convolutions and linear layers on the longest path",
        needs=(Depth,),
        formula="max over paths of #(Conv2d, Linear)",
        caveats="a depthwise and a pointwise convolution are two; not the count of all layers",
    )
)
PROXIES.add(
    ProxyRecord(
        name="random",
        score=chance,
        normalization=None,
        origin="ours",
        source="a hash of seed and canonical form",
        summary="chance: the floor of every comparison",
        needs=(Facts,),
        formula="U[0, 1)",
    )
)
