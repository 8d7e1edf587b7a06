"""Trained networks: their table, learning curves and confusion matrices."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_search.pages.chart import Chart, Grid, Mark
from nas_search.pages.heat import Heat, cell
from nas_search.pages.page import number
from nas_search.runs.run import read_finalists

CURVES = 7
"""Networks whose curves are drawn, the best: as many as there are colors."""

CLASSES = 40
"""Classes of a confusion matrix that is shown; a larger one is a file to read."""

TEXTS = ("key", "status", "genotype", "reason")
"""Columns that are never numbers, even where a key looks like one (``1e234567``)."""


@dataclass(frozen=True)
class Trained:
    """The section: a sentence, the table, the curves and the confusion matrices."""

    sentence: str
    grid: Grid
    charts: Sequence[Chart]
    confusions: Sequence[Heat]


def trained_in(folder: Path) -> Trained | None:
    """Return what was trained in a folder with ``finalists.csv``; None if nothing was.

    Raises:
        InputError: a file in it is broken.
    """
    rows = read_finalists(folder / "finalists.csv")
    logs = {log.parent.parent.name: log for log in sorted(folder.glob("*/seed*/log.csv"))}
    if not rows and not logs:
        return None
    keys = [row["key"] for row in rows] or sorted(logs)
    columns = [name for name in rows[0] if any(row[name] for row in rows)] if rows else ["key"]
    cells = [
        [row[name] if name in TEXTS else _value(row[name]) for name in columns] for row in rows
    ] or [[k] for k in keys]
    grid = Grid("trained", "trained networks", columns, cells, "", ("genotype", "reason"))
    curves = {key: _log(logs[key]) for key in keys[:CURVES] if key in logs}
    charts = [
        _curve("accuracy", "Validation accuracy", "validation_accuracy", "accuracy, %", curves),
        _curve("loss", "Validation loss", "validation_loss", "cross-entropy", curves),
        _curve("train-loss", "Training loss", "loss", "cross-entropy", curves),
    ]
    tables = [_confusion(folder / key / "confusion.csv", key) for key in keys]
    return Trained(
        _sentence(rows, len(keys)),
        grid,
        [chart for chart in charts if chart.rows],
        [table for table in tables if table is not None],
    )


def _sentence(rows: Sequence[dict[str, str]], count: int) -> str:
    if not rows:
        return f"{count} network{'s are' if count != 1 else ' is'} being trained."
    best = rows[0]
    if not best.get("validation_accuracy"):
        return "No network could be trained; the table has the reasons."
    said = f"{best['key']} is first: {float(best['validation_accuracy']):.2f} % validation accuracy"
    if best.get("test_accuracy"):
        said += f", {float(best['test_accuracy']):.2f} % on the test set"
    ahead = [float(row["validation_accuracy"]) for row in rows[1:] if row["validation_accuracy"]]
    if ahead:
        gap = float(best["validation_accuracy"]) - ahead[0]
        said += f"; the next is {number(gap, 3)} points behind"
    return said + "."


def _log(file: Path) -> list[dict[str, float | None]]:
    try:
        with file.open(encoding="utf-8", newline="") as text:
            return [
                {key: _float(value) for key, value in row.items() if key}
                for row in csv.DictReader(text)
            ]
    except (OSError, ValueError, csv.Error):  # being written
        return []


def _curve(
    key: str, title: str, column: str, unit: str, curves: dict[str, list[dict[str, float | None]]]
) -> Chart:
    rows: list[list[Any]] = [
        [name, row.get("epoch"), row.get(column)]
        for name, log in curves.items()
        for row in log
        if row.get(column) is not None
    ]
    marks = [Mark("line", "epoch", column, name, where=("network", name)) for name in curves]
    text = "One line per network and its first seed."
    return Chart(key, title, text, ("network", "epoch", column), rows, marks, "epoch", unit)


def _confusion(file: Path, key: str) -> Heat | None:
    try:
        with file.open(encoding="utf-8", newline="") as lines_of:
            header, *lines = csv.reader(lines_of)
        counts = [[int(value) for value in line[1:]] for line in lines]
    except (OSError, ValueError, csv.Error):
        return None
    if len(counts) > CLASSES or any(len(line) != len(counts) for line in counts):
        return None
    rows = []
    for place, (line, values) in enumerate(zip(lines, counts, strict=True)):
        total = sum(values) or 1
        rows.append(
            (
                line[0],
                [
                    cell(
                        value / total if other == place else -value / total,
                        f"{value:,}" if value else "",
                        1.0 if other == place else 0.3,
                        other == place,
                    )
                    for other, value in enumerate(values)
                ],
            )
        )
    right = sum(values[place] for place, values in enumerate(counts))
    total = sum(map(sum, counts))
    text = (
        f"Rows are true classes, columns the answers of {key}: {right:,} of {total:,} in the test "
        "set are right (blue, outlined); orange are its mistakes."
    )
    return Heat("Confusion matrix", text, "true class", header[1:], rows)


def _float(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _value(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        value = _float(text)
        return text if value is None else value
