"""The table at the end of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from nas_search.core.evaluation import Evaluation


def leaderboard_table(
    ranked: Sequence[tuple[int, Evaluation]],
    score: str,
    top: int,
    truths: Sequence[Mapping[str, float | None]] = (),
) -> Table:
    """Return the best ``top`` of ``ranked`` (see :func:`.files.best_first`) as a table.

    ``truths`` are further columns of each, e.g. true accuracies from a table.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    columns = list(truths[0]) if truths else []
    for heading in ("rank", score, *columns, "params", "MACs", "found as no."):
        table.add_column(heading, justify="right", overflow="fold")
    for rank, (number, evaluation) in enumerate(ranked[:top], 1):
        table.add_row(
            str(rank),
            f"{evaluation.scores[score]:.5g}",
            *(_accuracy(truths[rank - 1][column]) for column in columns),
            human(evaluation.params),
            human(evaluation.macs),
            str(number),
        )
    return table


def _accuracy(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}"


def human(count: int | None) -> str:
    """Return a count in thousands or millions with three digits, e.g. ``"3.35 M"``."""
    if count is None:
        return "?"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
