"""Per-sample gradients of a whole batch in one forward and one backward pass."""

from nas_search.gradients.backward import (
    forwards_replaced,
    normalised_network,
    per_sample_backward,
)
from nas_search.gradients.gradient import DenseGradient, FactoredGradient, Factors, SampleGradient
from nas_search.gradients.modes import (
    NORMALISATIONS,
    PARAMETERS,
    PRECISIONS,
    SCHEMES,
    Normalisation,
    Parameters,
    Precision,
    Scheme,
)
from nas_search.gradients.own_parameters import OwnParameters
from nas_search.gradients.recorder import Use
from nas_search.gradients.sinks import (
    FactorSink,
    GramSink,
    NormSink,
    Reductions,
    SignSink,
    Sink,
    SumSink,
)

__all__ = [
    "NORMALISATIONS",
    "PARAMETERS",
    "PRECISIONS",
    "SCHEMES",
    "DenseGradient",
    "FactorSink",
    "FactoredGradient",
    "Factors",
    "GramSink",
    "NormSink",
    "Normalisation",
    "OwnParameters",
    "Parameters",
    "Precision",
    "Reductions",
    "SampleGradient",
    "Scheme",
    "SignSink",
    "Sink",
    "SumSink",
    "Use",
    "forwards_replaced",
    "normalised_network",
    "per_sample_backward",
]
