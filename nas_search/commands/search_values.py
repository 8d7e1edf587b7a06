"""The values of a search that need no network: read before torch, which takes seconds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from nas_search.commands.reading import (
    at_least,
    beside,
    nameless,
    read_as,
    read_group,
    read_name,
    read_parts,
)
from nas_search.core.device import Precision
from nas_search.core.errors import InputError
from nas_search.search import ALGORITHMS, AlgorithmRecord, Budget

GROUPS = (
    "search_space",
    "proxy",
    "algorithm",
    "budget",
    "dataset",
    "executor",
    "constraints",
    "latency",
    "benchmark",
    "finalists",
    "recipe",
)


@dataclass(frozen=True)
class Beside:
    """Keys of the configuration that stand beside the groups."""

    device: str
    precision: Precision
    plugins: list[str]
    objectives: list[str]
    bridges: list[str]
    redraw: int | None = at_least(0)
    samples: int = at_least(0)
    seed: int = at_least(0)
    top: int = at_least(1)

    def __post_init__(self) -> None:
        if self.redraw == 1:
            raise InputError("redraw=1 leaves nothing to compare: set it to 0, or to 2 or more")


@dataclass(frozen=True)
class _Proposing:
    """Keys of the group ``algorithm`` that every algorithm has."""

    batch: int = at_least(1, 1)


@dataclass(frozen=True)
class _Advice:
    """Keys of the group ``budget`` that the algorithm may take its own from."""

    population: int = at_least(2, 100)
    tournament: int = at_least(1, 25)
    scored: int = at_least(1, 50)
    trained: int = at_least(1, 5)


@dataclass(frozen=True)
class Learning:
    """Keys of the group ``algorithm`` of one that trains: what it learns from.

    Attributes:
        recipe: the short schedule, keys of a recipe.
        prior: ``auto`` (the shipped one, if any), ``none`` or a file: what is known before the
            first training.
        experience: folders of earlier runs that trained.
    """

    recipe: dict[str, Any] = field(default_factory=dict)
    prior: str = "auto"
    experience: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Evolution:
    """How genotypes are proposed, and for how long.

    Attributes:
        algorithm: the registered algorithm; ``options`` its options.
        batch: genotypes that it proposes at a time.
        budget: when to end.
        learning: what it learns from; None where it does not train.
    """

    algorithm: AlgorithmRecord
    options: Any
    batch: int
    budget: Budget
    learning: Learning | None = None

    def __post_init__(self) -> None:
        if self.learning is not None:
            self._check_trainings()
        population = getattr(self.options, "population", None)
        evaluations = self.budget.evaluations
        if population is not None and evaluations is not None and evaluations < population:
            few = min(10, evaluations // 2)
            lower = f"algorithm.population={few} algorithm.tournament={min(3, few)}"
            raise InputError(
                f"budget.evaluations={evaluations} does not even fill the first population "
                f"(algorithm.population={population}); raise the one or lower the other, "
                f"{f'e.g. {lower}' if few > 1 else 'or take algorithm=random, which has none'}"
            )

    def _check_trainings(self) -> None:
        """Refuse a budget in which nothing is trained."""
        name, budget = self.algorithm.name, self.budget
        if budget.trainings is None and budget.minutes is None and budget.epochs is None:
            raise InputError(
                f"algorithm={name} trains networks: say how many with budget.trainings=N, or how "
                "long with budget.minutes=N or budget.epochs=N"
            )
        first = self.options.population + self.options.scored
        if budget.evaluations is not None and budget.evaluations < first:
            raise InputError(
                f"budget.evaluations={budget.evaluations} ends before the first training, which "
                f"algorithm.population + algorithm.scored = {first} evaluations precede; raise the "
                "one or lower the others"
            )


def read_beside(config: DictConfig) -> Beside:
    """Return the keys beside the groups.

    Raises:
        InputError: as :func:`.read_as`.
    """
    return read_as(Beside, "", beside(config, GROUPS))


def read_evolution(config: DictConfig, objectives: Sequence[str] = ()) -> Evolution:
    """Return the groups ``algorithm`` and ``budget``.

    Args:
        config: the composed configuration.
        objectives: what is searched for, as the user names it; empty for the score alone.

    Raises:
        InputError: there is no such algorithm, key or value, or they do not fit each other.
    """
    values = read_group(config, "algorithm")
    algorithm = ALGORITHMS.get(read_name(values, "algorithm"))
    schemas: list[type[Any]] = [
        _Proposing,
        algorithm.options,
        *([Learning] if algorithm.trains else []),
    ]
    proposing, options, *learning = read_parts("algorithm", nameless(values), *schemas)
    check_count(objectives, algorithm)
    budget, _ = read_parts("budget", read_group(config, "budget"), Budget, _Advice)
    if not algorithm.trains:
        if budget.epochs is not None:
            raise InputError(
                f"budget.epochs={budget.epochs} counts epochs of trainings within a search, and "
                f"algorithm={algorithm.name} makes none: choose algorithm=guided, or set "
                "budget.evaluations=N"
            )
        budget = dataclasses.replace(budget, trainings=None)
    return Evolution(algorithm, options, proposing.batch, budget, *learning)


def check_count(names: Sequence[str], algorithm: AlgorithmRecord) -> None:
    """Refuse a number of objectives that an algorithm cannot search for; none given are one.

    Raises:
        InputError: it is too small or too large, or one is given twice.
    """
    least, most = algorithm.objectives
    given = f"objectives=[{','.join(names)}]"
    if len(names) == 1:
        score = "NAME" if ":" in names[0] else names[0]
        raise InputError(f"{given} is one: choose it by proxy={score}, or name another")
    if not names and least > 1:
        raise InputError(
            f"algorithm={algorithm.name} trades several objectives off: name two or more, e.g. "
            "'objectives=[gradalign,macs]'"
        )
    if len(names) > most == 1:
        raise InputError(
            f"algorithm={algorithm.name} has one objective, {given} are {len(names)}: choose "
            "algorithm=nsga2, or one score and bounds on costs: constraints.max_macs=..."
        )
    if len(names) > most:
        raise InputError(f"{given} are {len(names)}: algorithm={algorithm.name} takes {most}")


def refuse_early(config: DictConfig) -> None:
    """Read what needs neither torch nor a plugin, so that mistakes in it are told at once.

    Raises:
        InputError: there is one.
    """
    top = read_beside(config)
    if not top.plugins:  # which may bring the algorithm
        read_evolution(config, top.objectives)
