"""True accuracies of a search's results from a table: accuracy, regret, and the best so far."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from nas_search.core.evaluation import Evaluation
from nas_search.tables.table import Table


def accuracies(table: Table, genotype: str) -> dict[str, float | None]:
    """Return the true accuracies (%) of ``genotype`` by reported column; None if unknown."""
    parsed = table.space.parse(genotype)
    return {column: table.accuracy(parsed, column) for column in table.reported}


def regrets(table: Table, genotype: str) -> dict[str, dict[str, float | None]]:
    """Return the accuracy, the table's best accuracy and the regret per reported column.

    The regret is the difference of the two in percentage points, 0 or more.
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

    Numbers count from 1; of equal scores the first remains the best. The true accuracies may fall,
    since the score is not the accuracy.
    """
    best_so_far: list[tuple[int, float, dict[str, float | None]]] = []
    for number, evaluation in enumerate(evaluations, 1):
        if evaluation.status != "ok" or score not in evaluation.scores:
            continue
        value = evaluation.scores[score]
        if not best_so_far or value > best_so_far[-1][1]:
            best_so_far.append((number, value, accuracies(table, evaluation.genotype)))
    return best_so_far


def fingerprint(table: Table) -> dict[str, Any]:
    """Return the identity of an oracle's table: the column and a digest of its values."""
    values = table.columns[table.validation].tobytes()
    return {
        "validation": table.validation,
        "digest": hashlib.sha256(values).hexdigest()[:16],
    }
