"""The tables of docs/study.md: what is found by a score, and by a rule that chooses scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from studies.markdown import number, table
from studies.result_files import DARTS, NASBENCH201, Row, Runs

MEASURED = (*(f"{place} rho" for place in DARTS), "tau C10", "C100", "IN16")
"""What the choice of a form is judged by, in the order of the tables."""


def evolution(runs: Runs, name: str) -> str:
    """Return what evolution and random search find with each score as fitness, best first."""
    rows = [row for run in (name, f"{name}_heavy") for row in runs.get(("nasbench201", run), [])]
    longest = max((int(row["evaluations"]) for row in rows), default=0)
    ended = {
        (row["fitness"], row["search"]): row for row in rows if int(row["evaluations"]) == longest
    }
    lines = []
    for fitness in dict.fromkeys(row["fitness"] for row in rows):
        pair = [ended[fitness, search] for search in ("evolution", "random search")]
        cells = [
            " / ".join(f"{row[c]} +- {row[f'{c}_deviation']}" for c in NASBENCH201) for row in pair
        ]
        ranks = [row["score_rank"] for row in pair]
        lines.append([f"`{fitness}`", cells[0], ranks[0], cells[1], ranks[1]])
    shown = f"after {longest}: C10 / C100 / IN16"
    titles = ("fitness", f"evolution {shown}", "rank", f"random search {shown}", "rank")
    return table(titles, sorted(lines, key=lambda line: -float(line[1].split(" ")[0])))


def choice(rows: Sequence[Row]) -> str:
    """Return how good forms are that were chosen on random halves, on the other halves."""
    lines = []
    for _, measures in _judged(rows, "other halves"):
        first = measures[0]
        cells = [f"{number(row['value'])} +- {number(row['deviation'])}" for row in measures]
        lines.append([first["chosen_by"] or f"`{first['form']}`, not chosen", *cells])
    return table(("chosen by", *MEASURED), lines)


def chosen(rows: Sequence[Row]) -> str:
    """Return which forms were chosen most often, and what they reach on all architectures."""
    lines = []
    for (rule, form), measures in _judged(rows, "all"):
        share = measures[0]["share"]
        shown = f"{100 * float(share):.0f} %" if share else "-"
        lines.append([rule or "-", f"`{form}`", shown, *(number(row["value"]) for row in measures)])
    return table(("chosen by", "form", "share of splits", *MEASURED), lines)


def _judged(rows: Sequence[Row], on: str) -> Iterable[tuple[tuple[str, str], list[Row]]]:
    """Yield (rule, form) and its rows in the order of :data:`MEASURED`."""
    order = [*((place, "c10_acc") for place in DARTS), *(("nasbench201", c) for c in NASBENCH201)]
    groups: dict[tuple[str, str], dict[tuple[str, str], Row]] = {}
    for row in rows:
        if row["judged_on"] == on:
            group = groups.setdefault((row["chosen_by"], row["form"]), {})
            group[row["place"], row["column"]] = row
    for name, measures in groups.items():
        yield name, [measures[key] for key in order]
