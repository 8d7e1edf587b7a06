"""Which scores one measurement serves: those whose definitions agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_search.layers.initial_weights import Scheme
from nas_search.layers.modes import Normalization
from nas_search.proxies import ProxyRecord
from nas_search.scoring.measure import Measuring


@dataclass(frozen=True)
class Round:
    """One measurement: scores whose definitions agree on the weights and the statistics.

    Attributes:
        draw: number of the draw of initial weights.
        init: their distribution.
        how: how the measurement is taken.
        records: the scores that are computed from it.
    """

    draw: int
    init: Scheme
    how: Measuring
    records: tuple[ProxyRecord, ...]

    @property
    def kinds(self) -> tuple[type, ...]:
        """The kinds of results that the scores need, each once."""
        return tuple(dict.fromkeys(kind for record in self.records for kind in record.needs))


def by_normalization(
    records: Sequence[ProxyRecord], normalization: Normalization | None = None
) -> dict[Normalization, list[ProxyRecord]]:
    """Group records by batch-norm statistics; those that depend on none join the first group.

    Args:
        records: the scores.
        normalization: statistics in place of those of the definitions.
    """
    groups: dict[Normalization, list[ProxyRecord]] = {}
    for record in sorted(records, key=lambda record: record.normalization is None):
        statistics: Normalization = next(iter(groups), "batch")
        if record.normalization is not None:
            statistics = normalization or record.normalization
        groups.setdefault(statistics, []).append(record)
    return groups
