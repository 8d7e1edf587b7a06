"""The configuration of a search, typed and checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from nas_search.bridges.bridges import check_bridges
from nas_search.commands.constraints import ConstraintsConfig, keeping, read_constraints
from nas_search.commands.finalists_by import check_by
from nas_search.commands.fitness import ProxyConfig, read_proxy
from nas_search.commands.groups import read_choice, read_space, read_table
from nas_search.commands.latency import LatencyConfig, read_latency
from nas_search.commands.learning import LearningConfig, check_epochs, read_learning
from nas_search.commands.objectives import costs_of
from nas_search.commands.plugins import import_plugins
from nas_search.commands.reading import as_composed, read_as, read_group
from nas_search.commands.search_values import GROUPS, read_beside, read_evolution
from nas_search.core.device import Precision
from nas_search.core.objectives import Objectives
from nas_search.data import DATASETS, DatasetRecord
from nas_search.scoring import Executor
from nas_search.search import AlgorithmRecord, Budget
from nas_search.spaces import SearchSpace
from nas_search.tables import Table
from nas_search.training.choice import FinalistsConfig
from nas_search.training.recipe import Recipe


@dataclass(frozen=True)
class SearchConfig:
    """A whole search, typed and checked.

    Attributes:
        seed: the run's seed, 0 or more: all randomness follows from it.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        space: the search space.
        space_options: what it was built with, for the record of the run.
        macro: sizes of the networks that are scored.
        proxy: the fitness.
        objectives: what is searched for: the fitness alone, or several scores and costs.
        algorithm: the registered algorithm; ``algorithm_options`` its options.
        batch: genotypes that the algorithm proposes at a time; 1 is the published algorithm.
        learning: how an algorithm that trains does it, and what it knows; None for others.
        budget: when to end.
        dataset: the registered data set; ``dataset_options`` its options.
        executor: which workers evaluate.
        constraints: bounds on the costs of candidates.
        latency: where latency is measured, if a bound or the user asks for it.
        precision: of the scores' arithmetic.
        top: architectures in the table at the end and with drawings.
        table: accuracies to report of what is found; None when no benchmark is chosen.
        finalists: how many of the best are trained at the end, and how.
        recipe: by which recipe.
        redraw: how many of the best are scored again at the end, under another draw of the weights;
            None for some where that is cheap, see :mod:`.redraw`.
        samples: training images of each class that the report shows; 0 for none.
        bridges: where else the search is told, see :mod:`nas_search.bridges`.
        plugins: modules that were imported first.
        composed: the configuration that all this was read from, for the record of the run.
    """

    seed: int
    device: str
    space: SearchSpace[Any]
    space_options: dict[str, Any]
    macro: dict[str, Any]
    proxy: ProxyConfig
    objectives: Objectives
    algorithm: AlgorithmRecord
    algorithm_options: Any
    batch: int
    budget: Budget
    dataset: DatasetRecord
    dataset_options: Any
    executor: Executor
    constraints: ConstraintsConfig = field(default_factory=ConstraintsConfig)
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    precision: Precision = "fp32"
    top: int = 10
    table: Table | None = None
    finalists: FinalistsConfig = field(default_factory=FinalistsConfig)
    recipe: Recipe | None = None
    learning: LearningConfig | None = None
    redraw: int | None = None
    samples: int = 3
    bridges: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    composed: dict[str, Any] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether there are several objectives, and the result is a front."""
        return len(self.objectives) > 1


def read_config(config: DictConfig) -> SearchConfig:
    """Return the typed form of a composed configuration.

    Raises:
        InputError: a key is unknown or has the wrong type or an impossible value; the message says
            which and what is possible.
    """
    top = read_beside(config)
    import_plugins(top.plugins)
    check_bridges(top.bridges)
    evolution = read_evolution(config, top.objectives)
    group = {name: read_group(config, name) for name in GROUPS}
    dataset, dataset_options = read_choice(DATASETS, "dataset", group["dataset"])
    space, macro, space_options = read_space(group["search_space"])
    table = read_table(space, group["benchmark"])
    proxy, objectives = read_proxy(group["proxy"], table, space, top.objectives)
    finalists = read_as(FinalistsConfig, "finalists", group["finalists"])
    if "tensorboard" in top.bridges:  # whose curves a training writes itself, as it goes
        finalists = dataclasses.replace(finalists, tensorboard=True)
    trained = evolution.learning is not None
    check_by(finalists.by, objectives, space, trained)  # now, not after the search
    learning = None
    if evolution.learning is not None:
        learning = read_learning(evolution.learning, space, proxy, table)
        check_epochs(evolution.budget, learning)
    return SearchConfig(
        seed=top.seed,
        device=top.device,
        precision=top.precision,
        space=space,
        space_options=space_options,
        macro=macro,
        proxy=proxy,
        objectives=objectives,
        algorithm=evolution.algorithm,
        algorithm_options=evolution.options,
        batch=evolution.batch,
        budget=evolution.budget,
        dataset=dataset,
        dataset_options=dataset_options,
        executor=read_as(Executor, "executor", group["executor"]),
        constraints=keeping(
            read_constraints(group["constraints"]),
            costs_of(objectives) if len(objectives) > 1 else (),  # alone params is a score
        ),
        latency=read_latency(group["latency"]),
        top=top.top,
        table=table,
        finalists=finalists,
        recipe=read_as(Recipe, "recipe", group["recipe"]),
        learning=learning,
        redraw=top.redraw,
        samples=top.samples,
        bridges=tuple(top.bridges),
        plugins=tuple(top.plugins),
        composed=as_composed(config),
    )
