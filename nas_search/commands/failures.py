"""What a search says of the candidates that failed, and when its result is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nas_search.core.evaluation import Evaluation


def failure_remark(evaluations: Sequence[Evaluation]) -> str:
    """Return how many candidates failed and why most of them did, as one line; empty for none.

    A candidate that is dead or rejected has not failed.
    """
    failed = [e for e in evaluations if e.status == "failed"]
    if not failed:
        return ""
    ((reason, count),) = Counter(e.reason for e in failed).most_common(1)
    tried = sum(e.status != "rejected" for e in evaluations)
    return f"{len(failed)} of {tried} candidates failed; most often ({count} times): {reason}"


def mostly_failed(evaluations: Sequence[Evaluation]) -> bool:
    """Whether more candidates failed than were scored or found dead: the best of them means little.

    Those that fail have something in common, e.g. a layer; what is left is no sample of the space.
    """
    statuses = Counter(e.status for e in evaluations)
    return statuses["failed"] > statuses["ok"] + statuses["dead"]
