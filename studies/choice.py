"""How good the choice of a form is: chosen on random halves, judged on the others.

Every form of ``studies.forms.GRID`` times a power of the depth D is a candidate. In each of many
random splits of the architectures of NAS-Bench-201 and of the DARTS protocols, a rule chooses one
form by one half; the other half, which the rule has not seen, says what was chosen. Beside it stand
the default and the number of parameters, which need no choice. Nothing is scored here: the scores
are those of studies/study.sh, part grid.

    python -m studies.choice OUT [--splits 200]    writes OUT/choice.csv
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import header, say
from nas_search.ranking.correlation import failures_last, kendall_tau, spearman_rho
from studies import search_tables
from studies.forms import GRID
from studies.result_files import COLUMNS, Row, mean_scores, write_rows

DEPTHS = (0.0, 0.125, 0.25, 0.375, 0.5)
"""Powers of D, which is the same for all weights of a network and so needs no scoring."""

FIXED = ("gradalign", "params")
Array = np.ndarray


CORRELATIONS: dict[str, Callable[[Array, Array], float]] = {"rho": spearman_rho, "tau": kendall_tau}
"""Of scores and accuracies, (n,) each."""


@dataclass(frozen=True)
class Measure:
    """One way to judge a form: a rank correlation with one accuracy of one set of architectures.

    Attributes:
        place: the set; the folder of its scores.
        column: its column of accuracies.
        statistic: one of :data:`CORRELATIONS`.
        goal: what the correlation is divided by in a rule; None leaves it out of rules.
    """

    place: str
    column: str
    statistic: str
    goal: float | None


MEASURES = (
    Measure("full_600", "c10_acc", "rho", 0.40),
    Measure("small_200", "c10_acc", "rho", 0.85),
    Measure("short_50", "c10_acc", "rho", None),
    Measure("nasbench201", "c10_test_200", "tau", 0.75),
    Measure("nasbench201", "c100_test_200", "tau", 0.75),
    Measure("nasbench201", "in16_test_200", "tau", 0.75),
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
    chosen, values = splits(names, tables, sets, options.splits)
    on_everything = np.array([judged(m, tables[m.place], sets[m.place]) for m in MEASURES]).T
    everything = dict(zip(names, on_everything.tolist(), strict=True))
    sizes = ", ".join(f"{place} {len(next(iter(s.values())))}" for place, s in sets.items())
    say(header(splits=options.splits, forms=len(names) - len(FIXED), architectures=sizes))
    rows = [*on_other_halves(values), *on_all(chosen, everything, options.splits)]
    write_rows(options.out / "choice.csv", COLUMNS["choice"], rows)
    say(search_tables.choice(rows))
    say(search_tables.chosen(rows))


def on_other_halves(values: Mapping[str, Array]) -> Iterator[Row]:
    """Yield mean and deviation of each measure, of what each rule chose and of each fixed form."""
    for title, found in values.items():
        who = {"form": title} if title in FIXED else {"chosen_by": title}
        for measure, column in zip(MEASURES, found.T, strict=True):
            yield {
                **_row(measure, "other halves", float(column.mean())),
                **{**who, "deviation": f"{column.std(ddof=1):.3f}"},
            }


def on_all(
    chosen: Mapping[str, Counter[str]], everything: Mapping[str, Sequence[float]], count: int
) -> Iterator[Row]:
    """Yield each measure on all architectures, of the forms chosen most often and the fixed."""
    most = [
        {"chosen_by": title, "form": form, "share": f"{times / count:.3f}"}
        for title, counter in chosen.items()
        for form, times in counter.most_common(5)
    ]
    for who in (*most, *({"form": form} for form in FIXED)):
        for measure, value in zip(MEASURES, everything[who["form"]], strict=True):
            yield {**_row(measure, "all", value), **who}


def _row(measure: Measure, judged_on: str, value: float) -> Row:
    return {
        **{"place": measure.place, "run": "grid", "column": measure.column},
        **{"statistic": measure.statistic, "judged_on": judged_on, "value": f"{value:.3f}"},
        **dict.fromkeys(("chosen_by", "form", "share", "deviation"), ""),
    }


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
    correlation = CORRELATIONS[measure.statistic]
    return [correlation(form[rows], accuracies) for form in table]


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


if __name__ == "__main__":
    main()
