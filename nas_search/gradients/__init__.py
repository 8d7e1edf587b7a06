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
    SCHEMES,
    Normalisation,
    Parameters,
    Scheme,
)
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
    "SCHEMES",
    "DenseGradient",
    "FactorSink",
    "FactoredGradient",
    "Factors",
    "GramSink",
    "NormSink",
    "Normalisation",
    "Parameters",
    "Reductions",
    "SampleGradient",
    "Scheme",
    "SignSink",
    "Sink",
    "SumSink",
    "forwards_replaced",
    "normalised_network",
    "per_sample_backward",
]
