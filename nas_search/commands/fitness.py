"""The fitness of a search: a score that is measured, or a table that is looked up instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nas_search.commands.measured_together import MeasuredTogether, measured_together
from nas_search.commands.messages import ranks_only
from nas_search.commands.objectives import main_score, read_objectives, scores_of
from nas_search.commands.reading import nameless, read_as, read_name
from nas_search.commands.settings import Settings
from nas_search.core.errors import InputError
from nas_search.core.objectives import Objectives
from nas_search.proxies import PROXIES
from nas_search.scoring import Executor, ScoringTask, Workers, start_workers
from nas_search.scoring.table_lookup import ORACLE, OracleWorkers
from nas_search.tables import Table, truth


@dataclass(frozen=True)
class ProxyConfig:
    """What candidates are compared by.

    Attributes:
        name: the registered score, or ``oracle``; of several, the one that stands for all where
            only one can.
        settings: how it is measured, with its record's values filled in.
        lookup: the table whose validation accuracy replaces all measuring; None for a score.
        others: further scores, where there are several objectives.
        asked: how all of them are measured; None means what each score's own record says.
    """

    name: str
    settings: Settings
    lookup: Table | None = None
    others: tuple[str, ...] = ()
    asked: Settings = field(default_factory=Settings)

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of all scores, this one first."""
        return (self.name, *self.others)

    def measured(self) -> list[MeasuredTogether]:
        """Return what is measured together, one entry per task; nothing of the oracle."""
        if self.lookup:
            return [MeasuredTogether(self.settings, ())]
        if not self.others:
            return [MeasuredTogether(self.settings, (self.name,))]
        return measured_together(self.scores, self.asked)

    def start(self, executor: Executor, tasks: Sequence[ScoringTask]) -> Workers:
        """Return running workers that evaluate candidates of ``tasks``."""
        if self.lookup:
            return OracleWorkers(tasks[0], self.lookup)
        return start_workers(executor, *tasks)

    def facts(self) -> dict[str, Any]:
        """Return what defines the fitness, as JSON-serializable values."""
        facts: dict[str, Any] = {"proxy": {"name": self.name, **self.settings.facts()}}
        if self.lookup:
            facts["oracle"] = truth.fingerprint(self.lookup)
        if self.others:
            facts["scores"] = {
                name: self.asked.of(PROXIES.get(name)).facts() for name in self.others
            }
        return facts


def read_proxy(
    values: dict[str, Any], table: Table | None, wanted: Sequence[str] = ()
) -> tuple[ProxyConfig, Objectives]:
    """Return what the group ``proxy`` and the key ``objectives`` choose.

    Args:
        values: the group.
        table: accuracies at hand; the oracle needs them.
        wanted: the objectives, see :func:`.read_objectives`; empty for the score alone.

    Raises:
        InputError: there is no such score, key or value; it has no value for one candidate alone;
            or the oracle has no table, or scores beside it.
    """
    chosen = read_name(values, "proxy")
    objectives = read_objectives(wanted, chosen)
    name = main_score(chosen, objectives) if wanted else chosen
    others = tuple(score for score in scores_of(objectives) if score != name) if wanted else ()
    settings = read_as(Settings, "proxy", nameless(values))
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
        return ProxyConfig(name, settings, table), objectives
    refusal = ranks_only(name)
    if refusal:
        raise InputError(refusal)
    config = ProxyConfig(name, settings.of(PROXIES.get(name)), others=others, asked=settings)
    return config, objectives
