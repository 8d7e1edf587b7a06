"""Search that learns as it trains: evolution by a model of accuracy that is fitted to trainings.

::

    repeat:
        evolve: score S candidates, the fitness is what the model expects of each (before there is
            a model, the score itself)
        train the B candidates with the highest acquisition, by a short schedule to its end (before
        there is a model, B that are spread over the order of the score)
        fit the model again, to all that was trained; everybody alive gets its new fitness

It is regularized evolution with another step. What is scored and what is trained are evaluations
of the same history, told by what they are asked for (:attr:`.Algorithm.step`), so a run is
continued as any other: by asking for the same and taking what is recorded.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective, values_of
from nas_search.search.algorithm import ALGORITHMS, AlgorithmRecord, Genotypes, Step
from nas_search.search.individual import Individual
from nas_search.search.regularized_evolution import (
    RegularizedEvolution,
    RegularizedEvolutionOptions,
)

TRAINED = "trained_accuracy"
"""Name of what a training tells, in the scores of its evaluation: validation accuracy, %."""

KAPPA = 1.0
"""Deviations that :func:`acquisition` adds to the mean; chosen on a table, see docs/guided.md."""


@dataclass(frozen=True)
class Known:
    """What a search knows of a candidate.

    Attributes:
        genotype: itself.
        score: its fitness score at initialization.
        accuracy: validation accuracy of its short training, %; NaN if it is not trained.
    """

    genotype: Hashable
    score: float
    accuracy: float = math.nan


class Model(Protocol):
    """Expected merit of candidates, in any unit: higher is better."""

    def __call__(
        self, candidates: Sequence[Known]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (mean, standard deviation), each (n,), of what is expected of ``candidates``.

        The accuracy of one that was trained counts.
        """
        ...


class Guide(Protocol):
    """What fits models; the same for a whole search."""

    def fit(self, trained: Sequence[Known]) -> Model | None:
        """Return a model fitted to ``trained`` and to what the guide brings; None if to nothing."""
        ...


@dataclass(frozen=True)
class GuidedOptions(RegularizedEvolutionOptions):
    """Options of guided search, beside those of the evolution.

    Attributes:
        scored: number S of candidates scored before each batch of trainings, 1 or more; those of
            the first population come on top.
        trained: number B of candidates per batch of trainings, 1 or more.
    """

    scored: int = 50
    trained: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("scored", "trained"):
            if getattr(self, key) < 1:
                raise InputError(f"algorithm.{key}={getattr(self, key)} must be 1 or more")


@dataclass
class _Round:
    """Where a search stands: candidates still to score, then the batch to train."""

    to_score: int
    to_train: list[Individual] = field(default_factory=list)
    trained: int = 0


class Guided(RegularizedEvolution):
    """Evolution that trains the most promising and learns from it.

    Attributes:
        guide: fits the models; set before the first ask.
    """

    guide: Guide
    tries_of_draw = 100  # the best stay alive, so their neighborhood is soon known

    def __init__(
        self,
        space: Genotypes,
        rng: np.random.Generator,
        objectives: str | Sequence[Objective],
        options: GuidedOptions,
    ) -> None:
        super().__init__(space, rng, objectives, options)
        self._known: dict[str, Individual] = {}
        self._facts: dict[str, Known] = {}
        self._failed: set[str] = set()
        self._round = _Round(options.population + options.scored)
        self._model: Model | None = None
        self._begun = False

    @property
    def step(self) -> Step:
        """``train`` while a batch is to be trained, else ``score``."""
        return "train" if self._round.to_train else "score"

    def independent(self) -> int:
        """Return what is left of the batch to train, or of the first, random population."""
        if self.step == "train":
            return len(self._round.to_train) - self._round.trained
        return min(super().independent(), self._round.to_score)

    def ask(self, n: int) -> list[Hashable]:
        """Return up to ``n`` genotypes to score, or to train, see :attr:`step`."""
        if not self._begun:
            self._begun, self._model = True, self.guide.fit([])
        if self.step == "score":
            genotypes = super().ask(min(n, self._round.to_score))
            if genotypes:
                return genotypes
            self._choose_batch()  # nothing new is left in the space: train what there is
        if self._pending:
            raise RuntimeError("ask() was called twice: tell() the evaluations of the first call")
        begin = self._round.trained
        self._pending = self._round.to_train[begin : begin + n]
        return [individual.genotype for individual in self._pending]

    def _take(self, individuals: Sequence[Individual], evaluations: Sequence[Evaluation]) -> None:
        if self.step == "train":
            self._take_trained(individuals, evaluations)
            return
        self._round.to_score -= sum(e.status != "rejected" for e in evaluations)
        scored = []
        for individual, evaluation in zip(individuals, evaluations, strict=True):
            values = values_of(self.objectives, evaluation)
            if values is not None:
                (score,) = values
                self._known[individual.key] = individual
                self._facts[individual.key] = Known(individual.genotype, score)
                scored.append(individual)
        self._judge(scored)
        for individual in scored:
            self.hall_of_fame.update([individual])
            self._accept(individual)
        if self._round.to_score <= 0:
            self._choose_batch()

    def _take_trained(
        self, individuals: Sequence[Individual], evaluations: Sequence[Evaluation]
    ) -> None:
        for individual, evaluation in zip(individuals, evaluations, strict=True):
            accuracy = evaluation.scores.get(TRAINED, math.nan)
            if evaluation.status == "ok" and math.isfinite(accuracy):
                known = self._facts[individual.key]
                self._facts[individual.key] = Known(known.genotype, known.score, accuracy)
            else:
                self._failed.add(individual.key)
        self._round.trained += len(individuals)
        if self._round.trained == len(self._round.to_train):
            self._learn()

    def _learn(self) -> None:
        """Fit the model to all trainings, and judge everybody anew."""
        self._round = _Round(self.options.scored)
        trained = [one for one in self._facts.values() if not math.isnan(one.accuracy)]
        self._model = self.guide.fit(trained)
        everybody = [one for key, one in self._known.items() if key not in self._failed]
        self._judge(everybody)
        self.hall_of_fame.clear()
        self.hall_of_fame.update(everybody)
        best = sorted(everybody, key=lambda one: one.fitness.values[0])
        self._alive.clear()
        self._alive.extend(best)  # the queue is bounded: the best stay, and live longest

    def _judge(self, individuals: Sequence[Individual]) -> None:
        """Give each its fitness: the acquisition, or the score while there is no model."""
        if not individuals:
            return
        known = [self._facts[individual.key] for individual in individuals]
        values = acquisition(self._model, known)
        for individual, value in zip(individuals, values.tolist(), strict=True):
            individual.fitness.values = (value,)

    def _choose_batch(self) -> None:
        """Take the untrained with the highest fitness; where there are none, score on.

        Without a model, fitness is the score, and nobody knows whether it is right under the bounds
        of this search: the batch is spread over its order, the first of each of B equal parts.
        """
        untrained = [
            one
            for key, one in self._known.items()
            if math.isnan(self._facts[key].accuracy) and key not in self._failed
        ]
        best = sorted(untrained, key=lambda one: -one.fitness.values[0])
        batch = min(self.options.trained, len(best))
        if self._model is None:
            chosen = [best[part * len(best) // batch] for part in range(batch)]
        else:
            chosen = best[:batch]
        self._round = _Round(self.options.scored, chosen)


def acquisition(model: Model | None, candidates: Sequence[Known]) -> NDArray[np.float64]:
    """Return how much is to be gained by each candidate (n,): mean + :data:`KAPPA` deviations.

    Without a model, its score.
    """
    if model is None:
        return np.array([one.score for one in candidates])
    mean, deviation = model(candidates)
    return mean + KAPPA * deviation


ALGORITHMS.add(
    AlgorithmRecord(
        name="guided",
        algorithm=Guided,
        options=GuidedOptions,
        source="evolution of Real et al., AAAI 2019; upper confidence bound of a fitted model",
        trains=True,
    )
)
