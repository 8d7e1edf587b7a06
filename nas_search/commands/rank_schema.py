"""The configuration of a ranking, typed and checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, cast

from omegaconf import DictConfig

from nas_search.commands.search_schema import read_as as read
from nas_search.commands.search_schema import (
    read_beside,
    read_group,
    read_name,
    read_space,
    read_table,
)
from nas_search.core.device import Precision
from nas_search.core.errors import InputError
from nas_search.data import DATASETS, DatasetRecord
from nas_search.gradients import SCHEMES, Normalization, Parameters, Scheme
from nas_search.proxies import PROXIES
from nas_search.proxies.aggregate import check_members, log_rank_sum, members_of
from nas_search.ranking.ranking import Aggregate
from nas_search.scoring import Executor, Measuring
from nas_search.spaces import SearchSpace
from nas_search.tables import Table

GROUPS = ("search_space", "dataset", "executor", "benchmark")

BASELINES = ("params", "flops", "depth", "random")
"""What is ranked beside the scores, always: what a score must beat to say anything."""


@dataclass(frozen=True)
class Study:
    """What is scored and compared.

    Attributes:
        proxies: scores; of an aggregate, what its members are is measured and ranked too.
        seeds: of the initial weights and of the probe batch, 0 or more.
        architectures: how many, ``all``, or a list of rows of the table (from 0).
        sample_seed: which architectures, where they are a number: the first of one fixed shuffle,
            so a larger number continues a smaller one.
        columns: columns of accuracies to compare with; empty means the benchmark's test columns.
        aggregates: log-rank sums of scores of your choice, ``{name: [score, ...]}``; None for
            none.
        bootstrap: resamples of the interval of tau; 0 for none.
        batch_size: images in the probe batch.
        classes: number of classes in it; None means all.
        normalization: batch-norm statistics; None means those of each score's definition.
        parameters: parameters that count.
        init: distribution of the initial weights; None means that of each score's definition.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        precision: of the scores' arithmetic.
        plugins: modules to import first.
    """

    proxies: list[str] = field(default_factory=lambda: ["gradalign"])
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    architectures: Any = 300
    sample_seed: int = 0
    columns: list[str] = field(default_factory=list)
    aggregates: dict[str, list[str]] | None = None
    bootstrap: int = 1000
    batch_size: int = 64
    classes: int | None = None
    normalization: str | None = None
    parameters: str = "weights"
    init: str | None = None
    device: str = "auto"
    precision: str = "fp32"
    plugins: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for key, least in (("sample_seed", 0), ("bootstrap", 0), ("batch_size", 2)):
            if getattr(self, key) < least:
                raise InputError(f"{key}={getattr(self, key)} must be {least} or more")
        for key, what in (("proxies", "score"), ("seeds", "seed")):
            values = getattr(self, key)
            if not values:
                raise InputError(f"{key} is empty: name at least one {what}")
            if len(set(values)) < len(values):
                raise InputError(f"{key}={values} names one twice")
        if min(self.seeds) < 0:
            raise InputError(f"seeds={self.seeds} must be 0 or more")
        Measuring(
            self.statistics or "sample",
            cast(Parameters, self.parameters),
            precision=cast(Precision, self.precision),
        )
        if self.init is not None and self.init not in SCHEMES:
            raise InputError(f"unknown init '{self.init}'; possible: {', '.join(SCHEMES)}")
        for name in self.proxies:
            members_of(name)
        for name, members in (self.aggregates or {}).items():
            if name in PROXIES.names():
                raise InputError(f"aggregates.{name}: there is a score of that name")
            try:
                check_members(members)
            except InputError as error:
                raise InputError(f"aggregates.{name}: {error}") from None

    @property
    def measured(self) -> tuple[str, ...]:
        """The single scores that are measured, in one pass over each network."""
        named = [member for name in self.proxies for member in members_of(name)]
        wanted = [member for members in (self.aggregates or {}).values() for member in members]
        return tuple(dict.fromkeys([*named, *wanted, *BASELINES]))

    @property
    def combined(self) -> dict[str, Aggregate]:
        """The aggregates to make of them."""
        records = [PROXIES.get(name) for name in self.proxies]
        known = {r.name: (r.combine, r.members) for r in records if r.combine is not None}
        mine = {name: (log_rank_sum, members) for name, members in (self.aggregates or {}).items()}
        return {**known, **mine}

    @property
    def statistics(self) -> Normalization | None:
        """The checked ``normalization``."""
        return cast("Normalization | None", self.normalization)

    @property
    def scheme(self) -> Scheme | None:
        """The checked ``init``."""
        return cast("Scheme | None", self.init)


@dataclass(frozen=True)
class RankConfig:
    """A whole ranking study, typed and checked.

    Attributes:
        study: what is scored and compared.
        space: the search space; ``space_options`` what it was built with.
        macro: sizes of the networks that are scored.
        dataset: the registered data set; ``dataset_options`` its options.
        executor: which workers score.
        table: the accuracies.
    """

    study: Study
    space: SearchSpace[Any]
    space_options: dict[str, Any]
    macro: dict[str, Any]
    dataset: DatasetRecord
    dataset_options: Any
    executor: Executor
    table: Table

    def __post_init__(self) -> None:
        for name in self.columns:
            if name not in self.table.columns:
                possible = ", ".join(self.table.columns)
                raise InputError(f"the benchmark has no column '{name}'; possible: {possible}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of accuracies to compare with."""
        return tuple(self.study.columns) or self.table.test


def read_rank_config(config: DictConfig) -> RankConfig:
    """Return the typed form of a composed configuration.

    Raises:
        InputError: a key is unknown or has the wrong type or an impossible value; the message says
            which and what is possible.
    """
    study = read_beside(Study, config, GROUPS)
    group = {name: read_group(config, name) for name in GROUPS}
    dataset = DATASETS.get(read_name(group["dataset"], "dataset"))
    space, macro, options = read_space(group["search_space"])
    table = read_table(space, group["benchmark"])
    if table is None:
        raise InputError(
            "a ranking compares scores with accuracies: choose benchmark=NAME benchmark.path=FILE"
        )
    return RankConfig(
        study=study,
        space=space,
        space_options=options,
        macro=macro,
        dataset=dataset,
        dataset_options=read(
            dataset.options,
            "dataset",
            {key: value for key, value in group["dataset"].items() if key != "name"},
        ),
        executor=read(Executor, "executor", group["executor"]),
        table=table,
    )


def facts(config: RankConfig) -> dict[str, Any]:
    """Return what defines the scores; architectures, seeds and workers may change."""
    study = config.study
    return {
        "search_space": {"name": config.space.name, **config.space_options, **config.macro},
        "proxies": list(study.measured),
        "normalization": study.normalization,
        "parameters": study.parameters,
        "init": study.init,
        "batch_size": study.batch_size,
        "classes": study.classes,
        "dataset": config.dataset.name,
        "dataset_options": dataclasses.asdict(config.dataset_options),
        **({"precision": study.precision} if study.precision != "fp32" else {}),
    }
