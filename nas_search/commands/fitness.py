"""The fitness of a search: a score that is measured, or a table that is looked up instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas_search.commands.messages import ranks_only
from nas_search.commands.reading import nameless, read_as, read_name
from nas_search.commands.settings import Settings
from nas_search.core.errors import InputError
from nas_search.proxies import PROXIES
from nas_search.scoring import Executor, ScoringTask, Workers, start_workers
from nas_search.scoring.table_lookup import ORACLE, OracleWorkers
from nas_search.tables import Table, truth


@dataclass(frozen=True)
class ProxyConfig:
    """What candidates are compared by.

    Attributes:
        name: the registered score, or ``oracle``.
        settings: how the score is measured, with its record's values filled in.
        lookup: the table whose validation accuracy replaces all measuring; None for a score.
    """

    name: str
    settings: Settings
    lookup: Table | None = None

    @property
    def measured(self) -> tuple[str, ...]:
        """The scores that are measured: this one, or none."""
        return () if self.lookup else (self.name,)

    def start(self, executor: Executor, task: ScoringTask) -> Workers:
        """Return running workers that evaluate candidates of ``task``."""
        return OracleWorkers(task, self.lookup) if self.lookup else start_workers(executor, task)

    def facts(self) -> dict[str, Any]:
        """Return what defines the fitness, as JSON-serializable values."""
        measuring = {"proxy": {"name": self.name, **self.settings.facts()}}
        return {**measuring, **({"oracle": truth.fingerprint(self.lookup)} if self.lookup else {})}


def read_proxy(values: dict[str, Any], table: Table | None) -> ProxyConfig:
    """Return what the group ``proxy`` chooses.

    Args:
        values: the group.
        table: accuracies at hand; the oracle needs them.

    Raises:
        InputError: there is no such score, key or value; it has no value for one candidate alone;
            or the oracle has no table.
    """
    name = read_name(values, "proxy")
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
