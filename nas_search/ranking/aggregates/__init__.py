"""Aggregates: scores that are made of the ranks of others, so of a set of architectures alone.

Nothing here needs torch: a help text can list them.
"""

from nas_search.ranking.aggregates.base import (
    AGGREGATES,
    AggregateRecord,
    Combine,
    log_rank_sum,
    rank_sum,
)

__all__ = ["AGGREGATES", "AggregateRecord", "Combine", "log_rank_sum", "rank_sum"]
