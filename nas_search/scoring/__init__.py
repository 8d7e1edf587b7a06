"""From genotypes to evaluations: constraints first, one measurement for all scores, workers."""

from nas_search.layers.initial_weights import SCHEMES, Scheme
from nas_search.passes import DeadNetwork
from nas_search.scoring.constraints import Constraints
from nas_search.scoring.executor import Executor
from nas_search.scoring.initialize import initialize
from nas_search.scoring.measure import Measuring, measure
from nas_search.scoring.scorer import Scorer
from nas_search.scoring.task import ScoringTask
from nas_search.scoring.workers import Workers, start_workers

__all__ = [
    "SCHEMES",
    "Constraints",
    "DeadNetwork",
    "Executor",
    "Measuring",
    "Scheme",
    "Scorer",
    "ScoringTask",
    "Workers",
    "initialize",
    "measure",
    "start_workers",
]
