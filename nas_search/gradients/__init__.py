"""Per-sample gradients of a whole batch in one forward and one backward pass."""

from nas_search.gradients.backward import per_sample_backward
from nas_search.gradients.forwards import forwards_replaced, normalized_network
from nas_search.gradients.objective import Objective, cross_entropy
from nas_search.gradients.sinks import (
    FactorSink,
    GramSink,
    NormSink,
    PerCandidate,
    SignSink,
    SumSink,
    WeightedSumSink,
)
from nas_search.gradients.stacked_parameters import StackedParameters
from nas_search.gradients.ways import Way, of_kind, way_of
from nas_search.layers.initial_weights import SCHEMES, Scheme
from nas_search.layers.modes import (
    NORMALIZATIONS,
    PARAMETERS,
    Normalization,
    Parameters,
)
from nas_search.layers.recorder import ParameterUse, Sink
from nas_search.layers.sample_gradient import (
    DenseGradient,
    FactoredGradient,
    Factors,
    SampleGradient,
)

__all__ = [
    "NORMALIZATIONS",
    "PARAMETERS",
    "SCHEMES",
    "DenseGradient",
    "FactorSink",
    "FactoredGradient",
    "Factors",
    "GramSink",
    "NormSink",
    "Normalization",
    "Objective",
    "StackedParameters",
    "Parameters",
    "PerCandidate",
    "SampleGradient",
    "Scheme",
    "SignSink",
    "Sink",
    "SumSink",
    "Way",
    "WeightedSumSink",
    "ParameterUse",
    "cross_entropy",
    "forwards_replaced",
    "normalized_network",
    "of_kind",
    "per_sample_backward",
    "way_of",
]
