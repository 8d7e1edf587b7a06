"""Per-sample gradients of a whole batch in one forward and one backward pass."""

from nas_search.gradients.backward import per_sample_backward
from nas_search.gradients.gradient import DenseGradient, FactoredGradient, SampleGradient
from nas_search.gradients.modes import NORMALISATIONS, PARAMETERS, Normalisation, Parameters
from nas_search.gradients.sinks import GramSink, Sink

__all__ = [
    "NORMALISATIONS",
    "PARAMETERS",
    "DenseGradient",
    "FactoredGradient",
    "GramSink",
    "Normalisation",
    "Parameters",
    "SampleGradient",
    "Sink",
    "per_sample_backward",
]
