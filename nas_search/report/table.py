"""The table at the end of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from nas_search.core.evaluation import Evaluation
from nas_search.report.files import cost_column, cost_names

PREDICTED, UNCERTAINTY = "predicted", "uncertainty"
"""Columns of a search that trains; see :meth:`nas_search.search.standings.Standing.columns`."""


def leaderboard_table(
    ranked: Sequence[tuple[int, Evaluation]],
    score: str,
    top: int,
    truths: Sequence[Mapping[str, float | None]] = (),
) -> Table:
    """Return the best ``top`` of ``ranked`` (see :func:`.files.best_first`) as a table.

    ``truths`` are further columns of each, e.g. true accuracies from a table. What is ``predicted``
    and its ``uncertainty`` are one column. Parameters and MACs at other sizes than the scored ones
    have columns of their own where they differ (``constraints.at``). Headings break behind
    underscores, so that they need not break within words in a narrow terminal.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    columns = [name for name in (truths[0] if truths else ()) if name != UNCERTAINTY]
    evaluations = [evaluation for _, evaluation in ranked]
    costs = [name for name in cost_names(evaluations) if not _shown_anyway(name, evaluations)]
    headings = ("rank", score, *columns, "params", "MACs", *map(cost_column, costs))
    for heading in (*headings, "found as no."):
        table.add_column(heading.replace("_", "_\n"), justify="right", overflow="fold")
    for rank, (number, evaluation) in enumerate(ranked[:top], 1):
        table.add_row(
            str(rank),
            f"{evaluation.scores[score]:.5g}",
            *(_beside(truths[rank - 1], column) for column in columns),
            human(evaluation.params),
            human(evaluation.macs),
            *(human(evaluation.costs[name]) for name in costs),
            str(number),
        )
    return table


def _shown_anyway(cost: str, evaluations: Sequence[Evaluation]) -> bool:
    """Whether a cost is that of the scored networks, which has a column anyway."""
    own = {"params": lambda one: one.params, "macs": lambda one: one.macs}.get(cost)
    return own is not None and all(one.costs.get(cost) == own(one) for one in evaluations)


def _beside(truths: Mapping[str, float | None], column: str) -> str:
    """Return the cell of a column beside the score, of a prediction with its uncertainty."""
    value, deviation = told(column, truths[column]), truths.get(UNCERTAINTY)
    return f"{value} +- {deviation:.2f}" if column == PREDICTED and deviation is not None else value


def told(column: str, value: float | None) -> str:
    """Return a value of a column beside the score: accuracies in %, or milliseconds."""
    if value is None:
        return "?"
    return human(value) if column.endswith("_ms") else f"{value:.2f}"


def human(count: float | None) -> str:
    """Return a number in thousands or millions with three digits, e.g. ``"3.35 M"``."""
    if count is None:
        return "?"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count) if isinstance(count, int) else f"{count:.3g}"
