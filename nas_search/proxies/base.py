"""The interface of a proxy: a pure function of a measurement, and a record that describes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from nas_search.core.registry import Registry
from nas_search.gradients import Normalization, Scheme
from nas_search.passes.per_sample import Grams
from nas_search.proxies.fitting import any_batch
from nas_search.proxies.measurement import Measurement

Origin = Literal["paper", "reconstructed", "ours"]
"""``paper``: formula as published. ``reconstructed``: best supported reading of a paper whose
formula was not available. ``ours``: not published elsewhere."""


class Scores(Protocol):
    """Scores of several measurements, made in calls for all of them."""

    def __call__(self, *measurements: Measurement) -> Sequence[float]:
        """Return one score per measurement, in their order."""
        ...


@dataclass(frozen=True)
class ProxyRecord:
    """A registered score.

    Attributes:
        name: the name in ``proxy=...``.
        score: maps a measurement to a number; higher is always better.
        scores: maps the measurements of a stack's candidates, one or more, to what ``score`` gives
            of each, in calls for all of them; None means one after the other.
        normalization: batch-norm statistics of the definition; None if the score does not depend
            on them.
        origin: origin of the formula.
        source: publication of the formula.
        summary: one line on what it measures.
        needs: kinds of results that it reads from the measurement, see :mod:`nas_search.passes`.
        init: distribution of the initial weights in the definition.
        batch_size: number n of images of the probe batch in the definition.
        repeats: number of draws of the initial weights that the definition averages over.
        formula: the score in one line.
        caveats: known weaknesses; empty if there are none.
        fitted: whether accuracies of trained networks went into it.
        unfit: maps a probe batch, images (n, ...) and labels (n,), to why the score would say
            nothing on it, and what to change; to nothing where it would, see :mod:`.fitting`.
    """

    name: str
    score: Callable[[Measurement], float]
    normalization: Normalization | None
    origin: Origin
    source: str
    summary: str
    needs: tuple[type, ...] = (Grams,)
    init: Scheme = "default"
    batch_size: int = 64
    repeats: int = 1
    formula: str = ""
    caveats: str = ""
    fitted: bool = False
    unfit: Callable[[Tensor, Tensor], str] = any_batch
    scores: Scores | None = None


@dataclass(frozen=True)
class one_of:  # used like a function; a function in a function cannot be pickled
    """The score of one measurement, by the function ``scores`` that takes those of a stack."""

    scores: Scores

    def __call__(self, measurement: Measurement) -> float:
        """Return the score."""
        (value,) = self.scores(measurement)
        return value


PROXIES: Registry[ProxyRecord] = Registry("proxy", "nas_search.proxies")
