"""Whether another form of the default score is better in eight places: chosen by a written rule.

The rule stands in docs/study_protocol.md and was fixed before its outcome was looked at. A
candidate is a form of ``studies.forms.GRID`` times powers of the network's depth and
multiply-accumulates; the halves of ``studies.halves`` choose one, the others judge it. The scores
are those of studies/study.sh, parts another_form and another_form_timm.

    python -m studies.another_form tables ../shared/data OUT     writes tables that have no texts
    python -m studies.another_form choose OUT --timm timm_same_recipe.csv

writes studies/results/another_form.csv, from which studies.study_report makes the tables.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import header, say
from nas_search.ranking.correlation import failures_last, kendall_tau, spearman_rho
from nas_search.tables import Array
from studies.forms import GRID
from studies.halves import HALVES, half
from studies.markdown import number, table
from studies.result_files import NASBENCH201, RESULTS, Row, read_rows, write_rows

SUPERNETS = ("tiny", "small", "base")
PARTS = {
    "nasbench201": ("nasbench201",),
    "nasbench101": ("nasbench101",),
    "transnas_micro": ("transnas_micro",),
    "transnas_macro": ("transnas_macro",),
    "autoformer": tuple(f"autoformer_{supernet}" for supernet in SUPERNETS),
    "darts": ("full_600", "small_200", "short_50"),
    "nas_bench_macro": ("nas_bench_macro",),
    "timm": (),
}
"""The rankings that each place is the mean of; those of timm are its recipes."""
DARTS_ACCURACY, IMAGENET = ("c10_acc",), ("imagenet_top1",)
TASKS = (
    *("class_object__test_top1", "class_scene__test_top1", "jigsaw__test_top1"),
    *("autoencoder__test_ssim", "normal__test_ssim", "room_layout__test_loss"),
    "segmentsemantic__test_mIoU",
)
ACCURACIES: dict[str, tuple[str, ...]] = {
    "nasbench201": NASBENCH201,
    "nasbench101": ("c10_test_acc_108_mean3",),
    "transnas_micro": TASKS,
    "transnas_macro": TASKS,
    **{f"autoformer_{supernet}": IMAGENET for supernet in SUPERNETS},
    **dict.fromkeys(("full_600", "small_200", "short_50"), DARTS_ACCURACY),
    "nas_bench_macro": ("mean_acc",),
    "flexibert": ("glue",),
}
"""Columns that are ranked, by ranking; of a loss, less is better."""
CELLS = ("nasbench201", "nasbench101", "transnas_micro", "darts")
RULES = {"rule": tuple(PARTS), "cells": CELLS}
"""Over which places a form is chosen; that of cells alone was added after the first outcome."""
JUDGED_ONLY = {"flexibert": ("flexibert",)}
"""What no form is chosen on."""
HALVED = {"transnas_micro", "transnas_macro", "nas_bench_macro", "timm"}
"""Tables that are a half by the first byte of the hash themselves: the second one splits them."""
DEPTHS, COSTS = (0.0, 0.125, 0.25, 0.375, 0.5), (0.0, 0.125, 0.25, 0.5)
"""Powers of depth and of multiply-accumulates."""
DEFAULT, SIZES = "gradalign", ("params", "flops")
FIXED = (DEFAULT, *SIZES, "depth")
MEAN = "mean"
"""In the place of a place: the mean over all that choose."""
LEAST = 6
"""Models that a recipe of timm needs in a half."""
DRAWS = 1000
"""Resamples of an interval."""
COLUMNS = (
    *("place", "column", "half", "n", "who", "form"),
    *("tau", "rho", "ahead", "ahead_low", "ahead_high"),
)
ALL = "all"


@dataclass(frozen=True)
class Ranking:
    """Architectures that were trained alike.

    Attributes:
        name: of the protocol.
        keys: (n,), what says to which half each belongs.
        accuracies: higher is better, (n,) by column.
        scores: (candidates, n), failures last.
    """

    name: str
    keys: tuple[str, ...]
    accuracies: Mapping[str, Array]
    scores: Array

    def of(self, rows: npt.NDArray[np.intp]) -> Ranking:
        """Return the ranking of some of them."""
        accuracies = {name: values[rows] for name, values in self.accuracies.items()}
        return Ranking(
            self.name, tuple(self.keys[i] for i in rows), accuracies, self.scores[:, rows]
        )

    def halves(self) -> dict[str, Ranking]:
        """Return the ranking of each half."""
        own = np.array([half(key, int(self.name in HALVED)) for key in self.keys])
        return {name: self.of(np.flatnonzero(own == name)) for name in HALVES}


Place = tuple[Ranking, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    texts = commands.add_parser("tables", help="write tables with a column of architectures")
    texts.add_argument("data", type=Path)
    texts.add_argument("out", type=Path)
    choosing = commands.add_parser("choose", help="choose and judge")
    choosing.add_argument("out", type=Path)
    choosing.add_argument("--timm", type=Path, required=True, help="the table of recipes")
    options = parser.parse_args()
    if options.command == "tables":
        write_autoformer(options.data / "autoformer.csv", options.out)
        return
    places = read_places(options.out, options.timm)
    rows = [*chosen_and_judged(places), *on_all(places)]
    write_rows(RESULTS / "another_form.csv", COLUMNS, rows)
    sizes = ", ".join(f"{name} {sum(len(r.keys) for r in p)}" for name, p in places.items())
    say(header(candidates=len(candidates()), architectures=sizes))


def write_autoformer(source: Path, out: Path) -> None:
    """Write a table per super-network, with the texts of the space ``autoformer``."""
    out.mkdir(parents=True, exist_ok=True)
    for supernet in SUPERNETS:
        with (out / f"autoformer_{supernet}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("architecture", "imagenet_top1"))
            for row in read_rows(source):
                if row["supernet"] == supernet:
                    named = ("embed_dim", "mlp_ratio", "num_heads")
                    text = ",".join(f"{name}={row[name]}" for name in named)
                    writer.writerow((text, row["imagenet_top1"]))


def candidates() -> list[tuple[str, float, float]]:
    """Return each candidate's form and its powers of depth and of multiply-accumulates."""
    return list(product(GRID, DEPTHS, COSTS))


def named(candidate: tuple[str, float, float]) -> str:
    """Return a candidate's name, its powers in thousandths."""
    form, depth, cost = candidate
    return f"{form}_depth_{1000 * depth:.0f}_macs_{1000 * cost:.0f}"


def scores_of(rows: Sequence[Mapping[str, str]]) -> Array:
    """Return (candidates and then :data:`FIXED`, n) scores, failures last."""
    names = (*GRID, *FIXED)
    columns = {
        name: np.array([float(row[name]) if row[name] else math.nan for row in rows])
        for name in names
    }
    depth, macs = columns["depth"], columns["flops"]
    values = [columns[form] * depth**d * macs**c for form, d, c in candidates()]
    values += [columns[name] for name in FIXED]
    return np.array([failures_last(value) for value in values])


def read_places(out: Path, timm: Path) -> dict[str, Place]:
    """Return the rankings of every place from what studies/study.sh wrote into ``out``."""
    places: dict[str, Place] = {}
    for name, parts in (PARTS | JUDGED_ONLY).items():
        if parts:
            files = [out / part / "another_form" / "scores.csv" for part in parts]
            places[name] = tuple(map(read_ranking, parts, files))
    places["timm"] = tuple(read_timm(out / "timm" / "another_form.csv", timm))
    return places


def read_ranking(name: str, file: Path) -> Ranking:
    """Return the ranking ``name`` of a run of rank; losses count by their negatives."""
    rows = read_rows(file)
    accuracies = {
        column: (-1 if column.endswith("_loss") else 1)
        * np.array([float(row[column]) for row in rows])
        for column in ACCURACIES[name]
    }
    return Ranking(name, tuple(row["genotype"] for row in rows), accuracies, scores_of(rows))


def read_timm(file: Path, source: Path) -> Iterator[Ranking]:
    """Yield the ranking of each recipe with enough models in either half."""
    scores: dict[str, dict[str, str]] = {}
    for row in read_rows(file):
        scores.setdefault(row["model"], {})[row["proxy"]] = row["score"]
    recipes: dict[str, dict[str, float]] = {}
    for row in read_rows(source):
        if row["model"] in scores:
            recipes.setdefault(row["recipe"], {})[row["model"]] = float(row["imagenet_top1"])
    for recipe, accuracies in recipes.items():
        keys = tuple(accuracies)
        known = {recipe: np.array(list(accuracies.values()))}
        ranking = Ranking("timm", keys, known, scores_of([scores[model] for model in keys]))
        if min(len(own.keys) for own in ranking.halves().values()) >= LEAST:
            yield ranking


def taus(place: Place, rows: slice | Sequence[int] = slice(None)) -> Array:
    """Return each candidate's mean tau over columns and rankings of a place, (candidates,)."""
    return _mean_over(place, kendall_tau, rows)


def _mean_over(
    place: Place, correlation: Callable[[Array, Array], float], rows: slice | Sequence[int]
) -> Array:
    values = [
        [correlation(scores, accuracies) for scores in ranking.scores[rows]]
        for ranking in place
        for accuracies in ranking.accuracies.values()
    ]
    mean: Array = np.nan_to_num(values).mean(0)  # a score that is the same for all ranks nothing
    return mean


def chosen_and_judged(places: Mapping[str, Place]) -> Iterator[Row]:
    """Yield what the rule chose, what each place would choose, and the fixed, in both halves."""
    halves = {
        name: {which: tuple(r.halves()[which] for r in place) for which in HALVES}
        for name, place in places.items()
    }
    chooses, judges = HALVES
    free = len(candidates())
    seen = {name: taus(halves[name][chooses], slice(0, free)) for name in PARTS}
    overall = {
        rule: int(np.mean([seen[name] for name in over], axis=0).argmax())
        for rule, over in RULES.items()
    }
    draws: list[dict[str, Array]] = []
    leads: list[dict[str, float]] = []
    for name, place in halves.items():
        who = {rule: overall[rule] for rule, over in RULES.items() if name in over}
        who |= {"own": int(seen[name].argmax())} if name in seen else {"rule": overall["rule"]}
        who |= {fixed: free + number for number, fixed in enumerate(FIXED)}
        for which in HALVES:
            ahead = resampled(place[which], list(who.values()), free, seed=len(draws))
            rows = list(_rows(name, which, place[which], who, ahead))
            if which == judges and name in PARTS:
                draws.append(dict(zip(who, ahead.T, strict=True)))
                leads.append({row["who"]: float(row["ahead"]) for row in rows})
            yield from rows
    # The mean over places, judged.
    for title in (*RULES, "own", *FIXED):
        lead = np.mean([own[title] for own in leads if title in own])
        drawn = np.mean([own[title] for own in draws if title in own], axis=0)
        low, high = np.quantile(drawn, (0.025, 0.975))
        yield {
            **dict.fromkeys(COLUMNS, ""),
            **{"place": MEAN, "half": judges, "who": title, "ahead": f"{lead:.3f}"},
            **{"ahead_low": f"{low:.3f}", "ahead_high": f"{high:.3f}"},
        }


def on_all(places: Mapping[str, Place]) -> Iterator[Row]:
    """Yield how well the fixed scores rank all architectures, by protocol and accuracy."""
    first = len(candidates())
    for place in places.values():
        for ranking in place:
            for column, accuracies in ranking.accuracies.items():
                for name, scores in zip(FIXED, ranking.scores[first:], strict=True):
                    yield {
                        **dict.fromkeys(COLUMNS, ""),
                        **{"place": ranking.name, "column": column, "half": ALL, "who": name},
                        **{"n": str(len(ranking.keys)), "form": name},
                        **{"tau": f"{kendall_tau(scores, accuracies):.3f}"},
                        **{"rho": f"{spearman_rho(scores, accuracies):.3f}"},
                    }


def _rows(
    name: str, which: str, place: Place, who: Mapping[str, int], ahead: Array
) -> Iterator[Row]:
    """Yield a half's rows of a place: tau, rho and the lead on the default with its interval."""
    numbers = list(who.values())
    tau, rho = taus(place, numbers), _mean_over(place, spearman_rho, numbers)
    default, count = list(who).index(DEFAULT), str(sum(len(r.keys) for r in place))
    for at, (title, candidate) in enumerate(who.items()):
        low, high = np.quantile(ahead[:, at], (0.025, 0.975))
        yield {
            **{"place": name, "column": "", "half": which, "n": count},
            **{"who": title, "form": title if title in FIXED else named(candidates()[candidate])},
            **{"tau": f"{tau[at]:.3f}", "rho": f"{rho[at]:.3f}"},
            **{"ahead": f"{tau[at] - tau[default]:.3f}"},
            **{"ahead_low": f"{low:.3f}", "ahead_high": f"{high:.3f}"},
        }


def resampled(place: Place, numbers: Sequence[int], default: int, seed: int) -> Array:
    """Return (DRAWS, candidates) leads in mean tau on the default, architectures resampled."""
    rng = np.random.default_rng(seed)
    leads = []
    for _ in range(DRAWS):
        drawn = tuple(r.of(rng.integers(len(r.keys), size=len(r.keys))) for r in place)
        values = taus(drawn, [*numbers, default])
        leads.append(values[:-1] - values[-1])
    return np.array(leads)


def shown(rows: Sequence[Row]) -> str:
    """Return the judgment as a table, places down; empty without rows."""
    judged: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["half"] == HALVES[1]:
            judged.setdefault(row["place"], {})[row["who"]] = row
    lines = []
    for place, by in judged.items():
        own = by.get("own")
        lines.append(
            [
                place if place == MEAN else f"`{place}`",
                by[DEFAULT]["n"],
                number(by[DEFAULT]["tau"]),
                *(_with_lead(by[title]) if title in by else "" for title in (*RULES, *FIXED[1:])),
                _with_lead(own) + (f" `{own['form']}`" if own["form"] else "") if own else "",
            ]
        )
    titles = ("place", "networks", f"`{DEFAULT}`", "the rule's choice", "chosen for cells")
    return table((*titles, *(f"`{name}`" for name in FIXED[1:]), "the place's own choice"), lines)


def shown_all(rows: Sequence[Row]) -> str:
    """Return tau and rho of the fixed scores by protocol and accuracy; empty without rows."""
    lines: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["half"] == ALL:
            start = [f"`{row['place']}`", f"`{row['column']}`", row["n"]]
            line = lines.setdefault((row["place"], row["column"]), start)
            line.append(f"{number(row['tau'])} / {number(row['rho'])}")
    titles = ("architectures", "accuracy", "n", *(f"`{name}`" for name in FIXED))
    return table(titles, list(lines.values()))


def _with_lead(row: Row) -> str:
    lead = f"{float(row['ahead']):+.3f} [{row['ahead_low']}, {row['ahead_high']}]"
    return f"{number(row['tau'])}: {lead}" if row["tau"] else lead


if __name__ == "__main__":
    main()
