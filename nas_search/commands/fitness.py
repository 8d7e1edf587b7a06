"""The fitness of a search: a measured score, a prior, both together, or a table looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas_search.commands.messages import ranks_only
from nas_search.commands.reading import nameless, read_as, read_name, read_parts
from nas_search.commands.settings import Settings
from nas_search.core.errors import InputError
from nas_search.priors import FITTED, PRIOR, SCORE_AND_PRIOR, Prior, load_prior, shipped_prior
from nas_search.proxies import PROXIES
from nas_search.scoring import Executor, ScoringTask, Workers, start_workers
from nas_search.scoring.prior_workers import PriorWorkers, ScoreAndPriorWorkers
from nas_search.scoring.table_lookup import ORACLE, OracleWorkers
from nas_search.spaces import SearchSpace
from nas_search.tables import Table, truth


@dataclass(frozen=True)
class ProxyConfig:
    """What candidates are compared by.

    Attributes:
        name: the registered score, ``oracle``, or one of :data:`nas_search.priors.FITTED`.
        settings: how the score is measured, with its record's values filled in.
        lookup: the table whose validation accuracy replaces all measuring; None for a score.
        prior: what trained networks have taught, where it is part of the fitness.
    """

    name: str
    settings: Settings
    lookup: Table | None = None
    prior: Prior | None = None

    @property
    def measured(self) -> tuple[str, ...]:
        """The scores that are measured: this one, the one that a prior is joined with, or none."""
        if self.prior:
            return (SCORE_AND_PRIOR[self.name],) if self.name in SCORE_AND_PRIOR else ()
        return () if self.lookup else (self.name,)

    @property
    def scores(self) -> list[str]:
        """All scores that a candidate gets, the fitness first."""
        return list(dict.fromkeys([self.name, *self.measured, *([PRIOR] if self.prior else [])]))

    def start(self, executor: Executor, task: ScoringTask) -> Workers:
        """Return running workers that evaluate candidates of ``task``."""
        if self.lookup:
            return OracleWorkers(task, self.lookup)
        if self.prior and not self.measured:
            return PriorWorkers(task, self.prior)
        workers = start_workers(executor, task)
        return ScoreAndPriorWorkers(workers, self.prior, self.name) if self.prior else workers

    def facts(self) -> dict[str, Any]:
        """Return what defines the fitness, as JSON-serializable values."""
        measuring = {"proxy": {"name": self.name, **self.settings.facts()}}
        oracle = {"oracle": truth.fingerprint(self.lookup)} if self.lookup else {}
        return {**measuring, **oracle, **({"prior": self.prior.digest} if self.prior else {})}


@dataclass(frozen=True)
class PriorFile:
    """Key of the fitnesses that a prior goes into.

    Attributes:
        path: file of the prior; None for the package's own of the search space.
    """

    path: str | None = None


def open_prior(path: str | None, space: SearchSpace[Any], name: str) -> Prior:
    """Return the prior in ``path``, by default the package's own of ``space``, to score by alone.

    Args:
        path: file, or None.
        space: the search space.
        name: of the score that it goes into, one of :data:`nas_search.priors.FITTED`.

    Raises:
        InputError: there is none, it is of another space, or it cannot score so.
    """
    prior = load_prior(path, space) if path else shipped_prior(space)
    if prior.scores:
        raise InputError(
            f"{path} is a prior that takes the scores {', '.join(prior.scores)}, which {name} does "
            "not measure for it; learn one without scores"
        )
    if name in SCORE_AND_PRIOR:
        prior.reference(SCORE_AND_PRIOR[name])
    return prior


def read_proxy(values: dict[str, Any], table: Table | None, space: SearchSpace[Any]) -> ProxyConfig:
    """Return what the group ``proxy`` chooses.

    Args:
        values: the group.
        table: accuracies at hand; the oracle needs them.
        space: the search space, which a prior must be of.

    Raises:
        InputError: there is no such score, key or value; it has no value for one candidate alone;
            the oracle has no table; or there is no such prior.
    """
    name = read_name(values, "proxy")
    if name in FITTED:
        settings, file = read_parts("proxy", nameless(values), Settings, PriorFile)
        prior = open_prior(file.path, space, name)
        if name in SCORE_AND_PRIOR:
            settings = settings.of(PROXIES.get(SCORE_AND_PRIOR[name]))
        return ProxyConfig(name, settings, prior=prior)
    settings = read_as(Settings, "proxy", nameless(values))
    if name == ORACLE:
        if table is None:
            raise InputError(
                "proxy=oracle looks accuracies up in a table: choose benchmark=NAME "
                "benchmark.path=FILE"
            )
        return ProxyConfig(name, settings, table)
    refusal = ranks_only(name)
    if refusal:
        raise InputError(refusal)
    return ProxyConfig(name, settings.of(PROXIES.get(name)))
