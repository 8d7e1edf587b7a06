"""Per-sample gradients of a whole batch in one forward and one backward pass."""

from nas_search.gradients.backward import normalised_network, per_sample_backward
from nas_search.gradients.gradient import DenseGradient, FactoredGradient, SampleGradient
from nas_search.gradients.modes import (
    NORMALISATIONS,
    PARAMETERS,
    SCHEMES,
    Normalisation,
    Parameters,
    Scheme,
)
from nas_search.gradients.sinks import GramSink, NormSink, Reductions, SignSink, Sink, SumSink

__all__ = [
    "NORMALISATIONS",
    "PARAMETERS",
    "SCHEMES",
    "DenseGradient",
    "FactoredGradient",
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
    "normalised_network",
    "per_sample_backward",
]
