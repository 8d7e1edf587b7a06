"""What a search that trains expects of candidates: prior, score and its own trainings together.

Before anything is trained it is prior and score as one number (:func:`.combined`), or the prior
alone, or nothing, and the search goes by the score. Then it is a prior on structure and score,
fitted to normal scores of the accuracies (:func:`.fit_prior`); what was there before counts beside
it as much as :data:`.BASE_TRAININGS` trainings. A candidate that was trained has the mean of what
is expected and what was measured: a short training is a measurement with noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nas_search.priors.combine import combined
from nas_search.priors.fit import BASE_TRAININGS, FEWEST_TRAININGS, fit_prior
from nas_search.priors.forest import Array
from nas_search.priors.prior import Prior
from nas_search.priors.warp import normal_scores
from nas_search.spaces import SearchSpace

TREES = 100
"""Of the forests within a search: it fits one after each batch of trainings."""

EXPERIENCE_WEIGHT = 0.5
"""Of a training by another protocol, beside 1 of those of the search itself."""


class Candidate(Protocol):
    """What is known of a candidate; see :class:`nas_search.search.guided.Known`."""

    @property
    def genotype(self) -> Hashable:
        """Itself."""
        ...

    @property
    def score(self) -> float:
        """Its fitness score at initialization."""
        ...

    @property
    def accuracy(self) -> float:
        """Validation accuracy of its training, %; NaN if it is not trained."""
        ...


@dataclass(frozen=True)
class Experience:
    """Trainings of an earlier run.

    Attributes:
        protocol: equal for runs whose accuracies can be compared.
        architectures: (n) genotypes.
        accuracies: (n) in percent.
        scores: (n) of the fitness.
    """

    protocol: str
    architectures: tuple[Hashable, ...]
    accuracies: tuple[float, ...]
    scores: tuple[float, ...]

    @property
    def digest(self) -> str:
        """16 characters that follow from all of it."""
        told = repr((self.protocol, list(map(str, self.architectures)), self.accuracies))
        return hashlib.sha256(told.encode() + repr(self.scores).encode()).hexdigest()[:16]


def with_measured(
    mean: Array, deviation: Array, candidates: Sequence[Candidate], accuracies: Sequence[float]
) -> tuple[Array, Array]:
    """Return (mean, deviation) with the accuracies of those candidates that have one.

    Each counts as its normal score among ``accuracies``, half of what is expected in the end.
    """
    measured = np.array([one.accuracy for one in candidates])
    trained = ~np.isnan(measured)
    if not trained.any() or not len(accuracies):
        return mean, deviation
    levels, order = np.unique(np.asarray(accuracies, dtype=np.float64), return_index=True)
    own = np.interp(measured[trained], levels, normal_scores(accuracies)[order])
    mean, deviation = mean.copy(), deviation.copy()
    mean[trained] = (mean[trained] + own) / 2
    deviation[trained] /= 2
    return mean, deviation


Model = Callable[[Sequence[Candidate]], tuple[Array, Array]]
"""Maps candidates to (mean, standard deviation), each (n,); higher is better."""


@dataclass(frozen=True)
class PriorGuide:
    """Fits what a search goes by; the same for the whole of it.

    Attributes:
        space: the search space.
        score: name of the fitness score.
        protocol: of the search's own trainings, see :class:`Experience`.
        prior: what is known beforehand; None for nothing.
        experience: trainings of earlier runs.
    """

    space: SearchSpace[Any]
    score: str
    protocol: str = "here"
    prior: Prior | None = None
    experience: tuple[Experience, ...] = ()

    def fit(self, trained: Sequence[Candidate]) -> Model | None:
        """Return the model after ``trained``; None if there is nothing but the score to go by."""
        own = Experience(
            self.protocol,
            tuple(one.genotype for one in trained),
            tuple(one.accuracy for one in trained),
            tuple(one.score for one in trained),
        )
        parts = [own, *self.experience]
        architectures = [one for part in parts for one in part.architectures]
        accuracies = self._by_protocol(parts)
        known = sum(int((~np.isnan(column)).sum()) for column in accuracies.values())
        before = self._beforehand
        if known < FEWEST_TRAININGS:
            return before
        scores = np.array([one for part in parts for one in part.scores])
        fitted = fit_prior(
            self.space,
            architectures,
            accuracies,
            weights={
                name: 1.0 if name == self.protocol else EXPERIENCE_WEIGHT for name in accuracies
            },
            scores={self.score: scores},
            trees=TREES,
        )

        def model(candidates: Sequence[Candidate]) -> tuple[Array, Array]:
            genotypes = [one.genotype for one in candidates]
            values = np.array([one.score for one in candidates])
            mean, deviation = fitted.predict(genotypes, {self.score: values})
            if before is not None:
                share = known / (known + BASE_TRAININGS)
                expected, spread = before(candidates)
                mean = share * mean + (1 - share) * expected
                deviation = share * deviation + (1 - share) * spread
            return with_measured(mean, deviation, candidates, own.accuracies)

        return model

    @property
    def _beforehand(self) -> Model | None:
        """What is expected without any training."""
        prior = self.prior
        if prior is None:
            return None

        def model(candidates: Sequence[Candidate]) -> tuple[Array, Array]:
            prediction, deviation = prior.predict([one.genotype for one in candidates])
            if self.score not in prior.references:
                return prior.standardized(prediction), deviation / prior.spread
            values = [one.score for one in candidates]
            return combined(prior, prediction, self.score, values), deviation / prior.spread / 2

        return model

    def _by_protocol(self, parts: Sequence[Experience]) -> dict[str, Array]:
        """Return accuracies by protocol, NaN elsewhere; without those that are all equal."""
        protocol = np.array([part.protocol for part in parts for _ in part.architectures])
        values = np.array([one for part in parts for one in part.accuracies], dtype=np.float64)
        columns = {
            str(name): np.where(protocol == name, values, np.nan) for name in np.unique(protocol)
        }
        return {
            name: column
            for name, column in columns.items()
            if np.ptp(column[~np.isnan(column)]) > 0
        }
