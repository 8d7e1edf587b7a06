"""The table at the end of a search."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from nas_search.evaluation import Evaluation


def leaderboard_table(ranked: Sequence[tuple[int, Evaluation]], score: str, top: int) -> Table:
    """Return the best ``top`` of ``ranked`` (see :func:`.files.best_first`) as a table."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for heading in ("rank", score, "params", "MACs", "found as no."):
        table.add_column(heading, justify="right")
    for rank, (number, evaluation) in enumerate(ranked[:top], 1):
        table.add_row(
            str(rank),
            f"{evaluation.scores[score]:.5g}",
            human(evaluation.params),
            human(evaluation.macs),
            str(number),
        )
    return table


def human(count: int | None) -> str:
    """Return a count in thousands or millions with three digits, e.g. ``"3.35 M"``."""
    if count is None:
        return "?"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
