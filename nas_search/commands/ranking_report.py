"""The report of a ranking study: its files, and what is printed at its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from nas_search import report
from nas_search.core.errors import RunError
from nas_search.core.evaluation import Evaluation
from nas_search.core.files import write_csv
from nas_search.ranking.ranking import Column, RankingRow


def write_ranking(
    rows: Sequence[RankingRow],
    columns: Sequence[Column],
    accuracies: dict[str, np.ndarray],
    evaluations: Mapping[int, Sequence[Evaluation]],
    directory: Path,
) -> None:
    """Write the study's files.

    Args:
        rows: how well each score ranks.
        columns: every score of the n architectures.
        accuracies: (n,) in per cent by column.
        evaluations: the n evaluations by seed.
        directory: where to.

    Raises:
        RunError: the disk refuses.
    """
    try:
        fields = [field.name for field in dataclasses.fields(RankingRow)]
        values = [list(dataclasses.astuple(row)) for row in rows]
        write_csv(directory / "ranking.csv", fields, values)
        _write_scores(columns, accuracies, evaluations, directory)
        for column in {column.name: column for column in columns}.values():  # the mean comes last
            report.score_scatter(
                column.name, column.values, accuracies, directory / f"scatter_{column.name}.png"
            )
        report.score_heatmap(rows, directory / "heatmap.png")
        report.equal_size_plot(rows, directory / "equal_size.png")
    except OSError as error:
        raise RunError(
            f"cannot write the report to {directory} ({error.strerror}); every score is in its "
            "stores: free space or permissions and repeat the command"
        ) from error


def _write_scores(
    columns: Sequence[Column],
    accuracies: dict[str, np.ndarray],
    evaluations: Mapping[int, Sequence[Evaluation]],
    directory: Path,
) -> None:
    names = list(dict.fromkeys(column.name for column in columns if column.group != "aggregate"))
    by_seed = {(column.name, column.seed): column.values for column in columns}
    header = ["seed", "genotype", "status", *names, *accuracies, "seconds", "reason"]
    lines = [
        [
            *(seed, evaluation.genotype, evaluation.status),
            *(_known(by_seed[name, str(seed)][number]) for name in names),
            *(float(values[number]) for values in accuracies.values()),
            *(f"{evaluation.seconds:.4f}", evaluation.reason),
        ]
        for seed, of_seed in evaluations.items()
        for number, evaluation in enumerate(of_seed)
    ]
    write_csv(directory / "scores.csv", header, lines)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def print_ranking(
    rows: Sequence[RankingRow], count: int, seeds: Sequence[int], directory: Path, console: Console
) -> None:
    """Print the tables, in whole lines also where the output is a file or a narrow terminal."""
    console.width = max(console.width, report.TABLE_WIDTH)
    for part in report.ranking_tables(rows):
        console.print(part)
        console.print()
    for note in report.ranking_notes(rows):
        console.print(note, highlight=False, soft_wrap=True)
    console.print(
        f"{count} architectures, seeds {', '.join(map(str, seeds))}; results in {directory}",
        highlight=False,
        soft_wrap=True,
    )
