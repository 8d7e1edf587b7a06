"""What a table says of what a search found: true accuracies, regret, and how they came about."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from nas_search.core.evaluation import Evaluation
from nas_search.tables.table import Table


def accuracies(table: Table, genotype: str) -> dict[str, float | None]:
    """Return the true accuracies (%) of ``genotype`` by reported column; None where unknown."""
    parsed = table.space.parse(genotype)
    return {column: table.accuracy(parsed, column) for column in table.reported}


def regrets(table: Table, genotype: str) -> dict[str, dict[str, float | None]]:
    """Return for each reported column accuracy, the best of the table, and the regret between.

    The regret is what a search that knew the table would have gained, in points; 0 or more.
    """
    result: dict[str, dict[str, float | None]] = {}
    for column, accuracy in accuracies(table, genotype).items():
        best = table.best(column)
        regret = None if accuracy is None else best - accuracy
        result[column] = {"accuracy": accuracy, "best": best, "regret": regret}
    return result


def incumbents(
    table: Table, evaluations: Sequence[Evaluation], score: str
) -> list[tuple[int, float, dict[str, float | None]]]:
    """Return (number, score, true accuracies) of every evaluation that was the best so far.

    Numbers count from 1; the first of two equal scores stays the best. The true accuracies may
    fall where the score is wrong.
    """
    found: list[tuple[int, float, dict[str, float | None]]] = []
    for number, evaluation in enumerate(evaluations, 1):
        if evaluation.status != "ok":
            continue
        value = evaluation.scores[score]
        if not found or value > found[-1][1]:
            found.append((number, value, accuracies(table, evaluation.genotype)))
    return found


def fingerprint(table: Table) -> dict[str, Any]:
    """Return what makes an oracle's search reproducible: the column and a digest of its values."""
    values = table.columns[table.validation].tobytes()
    return {
        "validation": table.validation,
        "digest": hashlib.sha256(values).hexdigest()[:16],
    }
