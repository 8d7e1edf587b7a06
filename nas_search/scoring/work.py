"""What workers do with a genotype, as far as they must know: score it, or train it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nas_search.core.evaluation import Evaluation
from nas_search.spaces import Cost, SearchSpace

if TYPE_CHECKING:
    from nas_search.scoring.executor import Executor


class Evaluator(Protocol):
    """Evaluates genotypes in this process."""

    @property
    def most(self) -> int:
        """How many it takes at once."""
        ...

    def evaluate(self, genotypes: Sequence[Hashable]) -> list[Evaluation]:
        """Return the evaluation of each genotype; whatever goes wrong with one is a value."""
        ...


class Work(Protocol):
    """Work other than scoring that the same workers do; picklable, with a field ``device``."""

    @property
    def space(self) -> SearchSpace[Any]:
        """The search space."""
        ...

    @property
    def device(self) -> str:
        """Torch device on which it is done."""
        ...

    @property
    def seconds(self) -> float | None:
        """Time that one candidate may take; None for any."""
        ...

    def cost(self, genotype: Hashable) -> Cost:
        """Return the size of the network that an evaluation tells for ``genotype``."""
        ...

    def costs(self, genotype: Hashable) -> dict[str, float]:
        """Return the costs that an evaluation of ``genotype`` keeps."""
        ...

    def evaluator(self, executor: Executor) -> Evaluator:
        """Return what does the work in this process, on :attr:`device`."""
        ...
