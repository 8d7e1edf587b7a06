"""Aggregates: scores that combine ranks of others, so they exist only for sets of architectures.

Nothing here imports torch, so a help text can list them.
"""

from nas_search.ranking.aggregates.base import (
    AGGREGATES,
    AggregateRecord,
    Combine,
    log_rank_sum,
    rank_sum,
)

__all__ = ["AGGREGATES", "AggregateRecord", "Combine", "log_rank_sum", "rank_sum"]
