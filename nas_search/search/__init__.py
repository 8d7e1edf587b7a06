"""Search algorithms with ask and tell, budgets, and the search loop."""

from nas_search.search.algorithm import ALGORITHMS, Algorithm, AlgorithmRecord, Genotypes
from nas_search.search.budget import Budget
from nas_search.search.feasible import FeasibleGenotypes
from nas_search.search.loop import SearchOutcome, run_loop

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "AlgorithmRecord",
    "Budget",
    "FeasibleGenotypes",
    "Genotypes",
    "SearchOutcome",
    "run_loop",
]
