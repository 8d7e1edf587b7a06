"""The passes over a network that scores are computed from: each kind in a file of its own.

A pass runs a network once, in its own way (a backward pass with per-sample gradients, a forward
pass that looks at ReLUs, ...), and returns frozen dataclasses of results. A score names the results
that it needs; scores that need results of the same pass share it.
"""

from nas_search.passes.activations import CodeAgreement, PatternCount
from nas_search.passes.base import (
    PASSES,
    PASSES_OF_ALL,
    WHOLE,
    DeadNetwork,
    Facts,
    Outcome,
    Pass,
    PassOfAll,
    Subject,
    collects,
    collects_of_all,
    of_one,
)
from nas_search.passes.cell_features import CellFeatures
from nas_search.passes.channels import ChannelCorrelations
from nas_search.passes.fisher_information import FisherInformation
from nas_search.passes.hessian import HessianGradient
from nas_search.passes.jacobian import InputJacobian
from nas_search.passes.logit_kernel import LogitKernel
from nas_search.passes.per_sample import BatchGradient, ChannelFisher, Grams, LayerFactors, Signs
from nas_search.passes.perturbation import Perturbation
from nas_search.passes.regions import LinearRegions
from nas_search.passes.structure import Depth, LiveParameters, Weights
from nas_search.passes.synflow import SynapticFlow
from nas_search.passes.two_batches import TwoBatchGradients

__all__ = [
    "LinearRegions",
    "CellFeatures",
    "ChannelCorrelations",
    "LogitKernel",
    "CodeAgreement",
    "PatternCount",
    "PASSES",
    "PASSES_OF_ALL",
    "WHOLE",
    "DeadNetwork",
    "Facts",
    "Outcome",
    "Pass",
    "PassOfAll",
    "Subject",
    "collects",
    "collects_of_all",
    "of_one",
    "FisherInformation",
    "TwoBatchGradients",
    "HessianGradient",
    "InputJacobian",
    "BatchGradient",
    "ChannelFisher",
    "Grams",
    "LayerFactors",
    "Signs",
    "Perturbation",
    "Depth",
    "LiveParameters",
    "Weights",
    "SynapticFlow",
]
