"""How good the choice of a form is: chosen on random halves, judged on the others.

Every form of ``benchmarks.forms.GRID`` times a power of the depth D is a candidate. In each of many
random splits of the architectures of NAS-Bench-201 and of the DARTS protocols, a rule chooses one
form by one half; the other half, which the rule has not seen, says what was chosen. Beside it stand
the default and the number of parameters, which need no choice. Nothing is scored here: the scores
are those of benchmarks/study.sh, part grid.

    python -m benchmarks.choice OUT [--splits 200]    writes OUT/choice.csv and OUT/chosen.csv
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import header, say
from benchmarks.forms import GRID
from benchmarks.study_plots import mean_scores
from nas_search.ranking.correlation import failures_last, kendall_tau, spearman_rho

DEPTHS = (0.0, 0.125, 0.25, 0.375, 0.5)
"""Powers of D, which is the same for all weights of a network and so needs no scoring."""

FIXED = ("gradalign", "params")
Array = np.ndarray


@dataclass(frozen=True)
class Measure:
    """One way to judge a form: a rank correlation with one accuracy of one set of architectures.

    Attributes:
        place: the set; the folder of its scores.
        column: its column of accuracies.
        correlation: of scores and accuracies, (n,) each.
        goal: what the correlation is divided by in a rule; None leaves it out of rules.
    """

    place: str
    column: str
    correlation: Callable[[Array, Array], float]
    goal: float | None


MEASURES = (
    Measure("full_600", "c10_acc", spearman_rho, 0.40),
    Measure("small_200", "c10_acc", spearman_rho, 0.85),
    Measure("short_50", "c10_acc", spearman_rho, None),
    Measure("nasbench201", "c10_test_200", kendall_tau, 0.75),
    Measure("nasbench201", "c100_test_200", kendall_tau, 0.75),
    Measure("nasbench201", "in16_test_200", kendall_tau, 0.75),
)


def worst(ratios: Array) -> Array:
    """Return the smallest ratio of each form, from (forms, goals)."""
    smallest: Array = ratios.min(1)
    return smallest


def average(ratios: Array) -> Array:
    """Return the mean ratio of each form, (forms, goals); that of NAS-Bench-201 counts once."""
    places = [m.place for m in MEASURES if m.goal]
    weights = np.array([1 / places.count(place) for place in places])
    mean: Array = ratios @ weights / weights.sum()
    return mean


RULES = {"smallest ratio to a goal": worst, "mean ratio to the goals": average}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--splits", type=int, default=200)
    options = parser.parse_args()
    sets = {m.place: mean_scores(options.out / m.place / "grid" / "scores.csv") for m in MEASURES}
    names, tables = candidates(sets)
    everything = np.array([judged(m, tables[m.place], sets[m.place]) for m in MEASURES]).T
    chosen, values = splits(names, tables, sets, options.splits)
    columns = [f"{m.place} {m.column}" for m in MEASURES]
    sizes = ", ".join(f"{place} {len(next(iter(s.values())))}" for place, s in sets.items())
    say(header(splits=options.splits, forms=len(names) - len(FIXED), architectures=sizes))
    lines = []
    for title, found in values.items():
        spread = [f"{v:.3f}" for c in found.T for v in (c.mean(), c.std(ddof=1))]
        lines.append([title, *spread])
    write(
        options.out / "choice.csv",
        ["chosen by", *(name for c in columns for name in (c, f"{c} deviation"))],
        lines,
    )
    lines = []
    for title, count in chosen.items():
        for form, times in count.most_common(5):
            share = f"{times / options.splits:.3f}"
            whole = [f"{v:.3f}" for v in everything[names.index(form)]]
            lines.append([title, form, share, *whole])
    for form in FIXED:
        lines.append(["", form, "", *(f"{v:.3f}" for v in everything[names.index(form)])])
    write(options.out / "chosen.csv", ["chosen by", "form", "share", *columns], lines)


def candidates(sets: dict[str, dict[str, Array]]) -> tuple[list[str], dict[str, Array]]:
    """Return the forms' names, the fixed ones last, and their scores (forms, n) in each set."""
    names = [f"{form}_depth_{1000 * d:.0f}" for form in GRID for d in DEPTHS]
    tables = {}
    for place, scores in sets.items():
        rows = [scores[form] * scores["depth"] ** d for form in GRID for d in DEPTHS]
        rows += [scores[name] for name in FIXED]
        tables[place] = np.array([failures_last(row) for row in rows])
    return [*names, *FIXED], tables


def judged(
    measure: Measure, table: Array, scores: dict[str, Array], rows: Array | slice = slice(None)
) -> list[float]:
    """Return the correlation of each form's scores (forms, n) on the architectures ``rows``."""
    accuracies = scores[measure.column][rows]
    return [measure.correlation(form[rows], accuracies) for form in table]


def splits(
    names: Sequence[str],
    tables: dict[str, Array],
    sets: dict[str, dict[str, Array]],
    count: int,
) -> tuple[dict[str, Counter[str]], dict[str, Array]]:
    """Choose on ``count`` random halves.

    Returns:
        How often each rule chose which form; and, of what each rule chose and of each fixed form,
        the correlations (count, measures) on the other halves.
    """
    goals = np.array([m.goal for m in MEASURES if m.goal])
    ruled = [i for i, m in enumerate(MEASURES) if m.goal]
    free = len(names) - len(FIXED)
    chosen: dict[str, Counter[str]] = {title: Counter() for title in RULES}
    values: dict[str, list[Array]] = {title: [] for title in (*RULES, *FIXED)}
    for split in range(count):
        rng = np.random.default_rng(split)
        orders = {place: rng.permutation(table.shape[1]) for place, table in tables.items()}
        seen, unseen = (
            np.array(
                [
                    judged(
                        m, tables[m.place], sets[m.place], np.array_split(orders[m.place], 2)[part]
                    )
                    for m in MEASURES
                ]
            ).T
            for part in (0, 1)
        )
        for title, rule in RULES.items():
            best = int(rule(seen[:free, ruled] / goals).argmax())
            chosen[title][names[best]] += 1
            values[title].append(unseen[best])
        for name in FIXED:
            values[name].append(unseen[names.index(name)])
    return chosen, {title: np.array(found) for title, found in values.items()}


def write(path: Path, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Write a table as CSV and print it."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *lines])
    for line in (columns, ["---"] * len(columns), *lines):
        say(f"| {' | '.join(line)} |")
    say("")


if __name__ == "__main__":
    main()
