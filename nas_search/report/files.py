"""The plain files of a search, for people and scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nas_search.core.evaluation import Evaluation
from nas_search.core.files import write_csv


def best_first(evaluations: Sequence[Evaluation], score: str) -> list[tuple[int, Evaluation]]:
    """Return (number, evaluation) of those with ``score``, best first, in ties earliest first.

    Numbers count from 1 in the order in which candidates were proposed.
    """
    scored = [
        (n, e) for n, e in enumerate(evaluations, 1) if e.status == "ok" and score in e.scores
    ]
    return sorted(scored, key=lambda pair: -pair[1].scores[score])


def cost_names(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return the costs that were asked for, which all evaluations of a run have."""
    return list(evaluations[0].costs) if evaluations else []


def cost_column(name: str) -> str:
    """Return the column of a cost; ``params`` and ``macs`` alone are of the scored network."""
    return f"cost_{name}"


def write_history(path: Path, evaluations: Sequence[Evaluation], scores: Sequence[str]) -> None:
    """Write one row per evaluation, in the order in which candidates were proposed."""
    costs = cost_names(evaluations)
    header = ["number", "status", *scores, "params", "macs", *map(cost_column, costs)]
    header += ["seconds", "genotype", "reason"]
    rows = [
        [
            number,
            e.status,
            *(e.scores.get(name, "") for name in scores),
            e.params,
            e.macs,
            *(e.costs.get(name, "") for name in costs),
            f"{e.seconds:.4f}",
            e.genotype,
            e.reason,
        ]
        for number, e in enumerate(evaluations, 1)
    ]
    write_csv(path, header, rows)


def write_leaderboard(
    path: Path,
    ranked: Sequence[tuple[int, Evaluation]],
    score: str,
    truths: Sequence[Mapping[str, float | None]] = (),
) -> None:
    """Write all scored architectures, best first, as :func:`best_first` returns them.

    Args:
        path: the file.
        ranked: the architectures.
        score: name of their score.
        truths: further columns of each architecture, e.g. true accuracies from a table.
    """
    columns = list(truths[0]) if truths else []
    costs = cost_names([e for _, e in ranked])
    rows = [
        [
            rank,
            e.scores[score],
            *(truths[rank - 1][column] for column in columns),
            e.params,
            e.macs,
            *(e.costs.get(name, "") for name in costs),
            number,
            e.genotype,
        ]
        for rank, (number, e) in enumerate(ranked, 1)
    ]
    header = ["rank", score, *columns, "params", "macs", *map(cost_column, costs)]
    write_csv(path, [*header, "number", "genotype"], rows)
