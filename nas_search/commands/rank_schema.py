"""The configuration of a ranking, typed and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from nas_search.commands.fitness import open_prior
from nas_search.commands.groups import read_choice, read_space, read_table
from nas_search.commands.measured_together import BASELINES
from nas_search.commands.plugins import import_plugins
from nas_search.commands.reading import (
    as_composed,
    at_least,
    beside,
    read_as,
    read_group,
    read_parts,
)
from nas_search.commands.settings import Settings
from nas_search.core.device import Precision
from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.data import DATASETS, DatasetRecord
from nas_search.priors import FITTED, Prior
from nas_search.proxies import PROXIES
from nas_search.ranking.aggregates import AGGREGATES, log_rank_sum
from nas_search.ranking.members import check_members, members_of
from nas_search.ranking.ranking import Aggregate
from nas_search.scoring import Executor
from nas_search.spaces import SearchSpace
from nas_search.tables import Table

GROUPS = ("search_space", "dataset", "executor", "benchmark")


@dataclass(frozen=True)
class Study:
    """What is scored and compared.

    Attributes:
        proxies: scores; of an aggregate, the members are measured and ranked too.
        seeds: of the initial weights and of the probe batch, 0 or more.
        architectures: how many, ``all``, or a list of rows of the table (from 0).
        sample_seed: which architectures, where they are a number: the first of one fixed shuffle,
            so a larger number continues a smaller one.
        columns: columns of accuracies to compare with; empty means the benchmark's test columns.
        aggregates: log-rank sums of scores of your choice, ``{name: [score, ...]}``; None for
            none.
        prior: file of the prior behind ``prior`` and ``gradalign_prior``; None for the package's.
        bootstrap: resamples of the interval of tau; 0 for none.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        precision: of the scores' arithmetic.
        plugins: modules to import first.
    """

    proxies: list[str] = field(default_factory=lambda: ["gradalign"])
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    architectures: Any = 300
    sample_seed: int = at_least(0, 0)
    columns: list[str] = field(default_factory=list)
    aggregates: dict[str, list[str]] | None = None
    prior: str | None = None
    bootstrap: int = at_least(0, 1000)
    device: str = "auto"
    precision: Precision = "fp32"
    plugins: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for key, what in (("proxies", "score"), ("seeds", "seed")):
            values = getattr(self, key)
            if not values:
                raise InputError(f"{key} is empty: name at least one {what}")
            if len(set(values)) < len(values):
                raise InputError(f"{key}={values} names one twice")
        if min(self.seeds) < 0:
            raise InputError(f"seeds={self.seeds} must be 0 or more")

    def check_names(self) -> None:
        """Refuse scores and aggregates that do not exist, once plugins are imported.

        Raises:
            InputError: there is one.
        """
        for name in self.proxies:
            members_of(name)
        for name, members in (self.aggregates or {}).items():
            if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name, re.ASCII):
                raise InputError(
                    f"aggregates: {quote(name)} is no name for a column and a file; use letters, "
                    "digits, '_', '-' and '.'"
                )
            if name in (*PROXIES.names(), *AGGREGATES.names(), *FITTED):
                raise InputError(f"aggregates.{name}: there is a score of that name")
            try:
                check_members(members)
            except InputError as error:
                raise InputError(f"aggregates.{name}: {error}") from None

    @property
    def measured(self) -> tuple[str, ...]:
        """The single scores that are measured."""
        named = [member for name in self.proxies for member in members_of(name)]
        wanted = [member for members in (self.aggregates or {}).values() for member in members]
        return tuple(dict.fromkeys([*named, *wanted, *BASELINES]))

    @property
    def fitted(self) -> tuple[str, ...]:
        """The scores that a prior goes into."""
        return tuple(name for name in self.proxies if name in FITTED)

    @property
    def combined(self) -> dict[str, Aggregate]:
        """The aggregates to make of them."""
        records = [AGGREGATES.get(name) for name in self.proxies if name in AGGREGATES.names()]
        published = {record.name: (record.combine, record.members) for record in records}
        mine = {name: (log_rank_sum, members) for name, members in (self.aggregates or {}).items()}
        return {**published, **mine}


@dataclass(frozen=True)
class RankConfig:
    """A whole ranking study, typed and checked.

    Attributes:
        study: what is scored and compared.
        settings: how scores are measured; None means what each score's own record says.
        space: the search space; ``space_options`` what it was built with.
        macro: sizes of the networks that are scored.
        dataset: the registered data set; ``dataset_options`` its options.
        executor: which workers score.
        table: the accuracies.
        prior: what trained networks have taught; None where no score asks for it.
        composed: the configuration that all this was read from, for the record of the study.
    """

    study: Study
    settings: Settings
    space: SearchSpace[Any]
    space_options: dict[str, Any]
    macro: dict[str, Any]
    dataset: DatasetRecord
    dataset_options: Any
    executor: Executor
    table: Table
    prior: Prior | None = None
    composed: dict[str, Any] = field(default_factory=dict)

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
    study, settings = read_parts("", beside(config, GROUPS), Study, Settings)
    import_plugins(study.plugins)
    study.check_names()
    group = {name: read_group(config, name) for name in GROUPS}
    dataset, dataset_options = read_choice(DATASETS, "dataset", group["dataset"])
    space, macro, options = read_space(group["search_space"])
    table = read_table(space, group["benchmark"])
    if table is None:
        raise InputError(
            "a ranking compares scores with accuracies: choose benchmark=NAME benchmark.path=FILE"
        )
    return RankConfig(
        study=study,
        settings=settings,
        space=space,
        space_options=options,
        macro=macro,
        dataset=dataset,
        dataset_options=dataset_options,
        executor=read_as(Executor, "executor", group["executor"]),
        table=table,
        prior=_read_prior(study, space),
        composed=as_composed(config),
    )


def _read_prior(study: Study, space: SearchSpace[Any]) -> Prior | None:
    """Return the prior that all fitted scores of the study take; None where there are none."""
    priors = [open_prior(study.prior, space, name) for name in study.fitted]
    if study.prior is not None and not priors:
        raise InputError("prior=... is for proxies=[prior] or proxies=[gradalign_prior]: add one")
    return priors[0] if priors else None
