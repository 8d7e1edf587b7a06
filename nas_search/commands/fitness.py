"""The fitness of a search: a measured score, a prior, both together, or a table looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nas_search.commands.measured_together import MeasuredTogether, measured_together
from nas_search.commands.messages import ranks_only
from nas_search.commands.objectives import main_score, read_objectives, scores_of
from nas_search.commands.reading import nameless, read_as, read_name, read_parts
from nas_search.commands.settings import Settings
from nas_search.core.errors import InputError
from nas_search.core.objectives import Objectives
from nas_search.priors import FITTED, PRIOR, SCORE_AND_PRIOR, Prior, load_prior, shipped_prior
from nas_search.proxies import PROXIES
from nas_search.scoring import Executor, ScoringTask, Workers, start_workers
from nas_search.scoring.prior_workers import PriorWorkers, ScoreAndPriorWorkers
from nas_search.scoring.table_lookup import ORACLE, TableWorkers
from nas_search.spaces import SearchSpace
from nas_search.tables import Table, truth


@dataclass(frozen=True)
class ProxyConfig:
    """What candidates are compared by.

    Attributes:
        name: the registered score, ``oracle``, or one of :data:`nas_search.priors.FITTED`; of
            several, the one that stands for all where only one can.
        settings: how it is measured, with its record's values filled in.
        lookup: the table whose validation accuracy replaces all measuring; None for a score.
        prior: what trained networks have taught, where it is part of what is compared.
        others: further scores, where there are several objectives.
        asked: how all of them are measured; None means what each score's own record says.
    """

    name: str
    settings: Settings
    lookup: Table | None = None
    prior: Prior | None = None
    others: tuple[str, ...] = ()
    asked: Settings = field(default_factory=Settings)

    @property
    def measured_scores(self) -> tuple[str, ...]:
        """Scores that are measured: those compared by, and those that a prior is joined with."""
        if self.lookup:
            return ()
        names = (SCORE_AND_PRIOR.get(one, one) for one in (self.name, *self.others) if one != PRIOR)
        return tuple(dict.fromkeys(names))

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of all scores that a candidate gets, this one first."""
        known = (PRIOR,) if self.prior else ()
        return tuple(dict.fromkeys((self.name, *self.others, *self.measured_scores, *known)))

    def measured(self) -> list[MeasuredTogether]:
        """Return what is measured together, one entry per task; one of no score for sizes alone."""
        if self.others and self.measured_scores:
            return measured_together(self.measured_scores, self.asked)
        return [MeasuredTogether(self.settings, self.measured_scores)]

    def start(self, executor: Executor, tasks: Sequence[ScoringTask]) -> Workers:
        """Return running workers that evaluate candidates of ``tasks``."""
        if self.lookup:
            return TableWorkers(tasks[0], self.lookup)
        if self.prior and not self.measured_scores:
            return PriorWorkers(tasks[0], self.prior)
        workers = start_workers(executor, *tasks)
        if self.prior is None:
            return workers
        joined = tuple(one for one in self.scores if one in SCORE_AND_PRIOR)
        return ScoreAndPriorWorkers(workers, self.prior, joined)

    def facts(self) -> dict[str, Any]:
        """Return what defines the fitness, as JSON-serializable values."""
        facts: dict[str, Any] = {"proxy": {"name": self.name, **self.settings.facts()}}
        if self.lookup:
            facts["oracle"] = truth.fingerprint(self.lookup)
        if self.prior:
            facts["prior"] = self.prior.digest
        if self.others:
            beside = [one for one in self.measured_scores if one != self.name]
            facts["scores"] = {one: self.asked.of(PROXIES.get(one)).facts() for one in beside}
        return facts


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
            "not measure for it; learn one without scores, or search with algorithm=guided "
            "algorithm.experience=[RUN], which measures its own"
        )
    if name in SCORE_AND_PRIOR:
        prior.reference(SCORE_AND_PRIOR[name])
    return prior


def read_proxy(
    values: dict[str, Any],
    table: Table | None,
    space: SearchSpace[Any],
    wanted: Sequence[str] = (),
) -> tuple[ProxyConfig, Objectives]:
    """Return what the group ``proxy`` and the key ``objectives`` choose.

    Args:
        values: the group.
        table: accuracies at hand; the oracle needs them.
        space: the search space, which a prior must be of.
        wanted: the objectives, see :func:`.read_objectives`; empty for the score alone.

    Raises:
        InputError: there is no such score, key or value; it has no value for one candidate alone;
            the oracle has no table, or scores beside it; or there is no such prior.
    """
    chosen = read_name(values, "proxy")
    objectives = read_objectives(wanted, chosen)
    name = main_score(chosen, objectives) if wanted else chosen
    others = tuple(score for score in scores_of(objectives) if score != name) if wanted else ()
    fitted = [one for one in (name, *others) if one in FITTED]
    if fitted:
        asked, file = read_parts("proxy", nameless(values), Settings, PriorFile)
        prior = open_prior(file.path, space, max(fitted, key=SCORE_AND_PRIOR.__contains__))
    else:
        asked, prior = read_as(Settings, "proxy", nameless(values)), None
    if ORACLE in (name, *others):
        if others:
            raise InputError(
                "objectives: oracle looks accuracies up and measures nothing: no score can stand "
                "beside it, costs can"
            )
        if table is None:
            raise InputError(
                "proxy=oracle looks accuracies up in a table: choose benchmark=NAME "
                "benchmark.path=FILE"
            )
        return ProxyConfig(name, asked, table), objectives
    measured = SCORE_AND_PRIOR.get(name, name)
    refusal = "" if measured == PRIOR else ranks_only(measured)
    if refusal:
        raise InputError(refusal)
    settings = asked if measured == PRIOR else asked.of(PROXIES.get(measured))
    return ProxyConfig(name, settings, prior=prior, others=others, asked=asked), objectives
