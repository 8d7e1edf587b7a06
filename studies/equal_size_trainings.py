"""Whether searches find better DARTS cells than drawing at random does, at equal size.

Random cells of DARTS_V2's size (at most its parameters, at least 90 % of them) are trained beside
the published cells and beside the best cells of searches under that bound, all by one complete
schedule of the recipe ``fast`` with mirrored images, on CIFAR-10. The test images are read once,
after the last epoch. First the cells of a group are put into a file, then all are trained:

    python -m studies.equal_size_trainings draw
    python -m studies.equal_size_trainings add gradalign outputs/gradalign_*
    python -m studies.equal_size_trainings train --cifar10 cifar10.npz
    python -m studies.equal_size_trainings report --page docs/equal_size.md

The defaults are sizes for a CPU: 8 cells, 8 channels, 10,000 images of 16 x 16. On a GPU:

    python -m studies.equal_size_trainings train --cifar10 cifar10.npz --channels 16 --size 32 \
        --images 50000 --epochs 50 --batch-size 256 --device cuda --precision bf16 --channels-last

Results are kept in --out as they come; what is there is not trained again.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

import nas_search
from benchmarks.common import append_rows, header, say
from benchmarks.reduced import cifar10, read_recipe, with_crop
from nas_search.commands.finalists_by import with_scores
from nas_search.priors import PRIOR
from nas_search.report.figure import INK, MUTED, save, style
from nas_search.runs import open_run
from nas_search.runs.architecture import Architecture
from nas_search.spaces import SPACES
from nas_search.tables import Array
from studies.markdown import replaced, table
from studies.result_files import Row, read_rows
from studies.trainings import Results, train_once

SPACE, IMAGE, CLASSES = "darts", (3, 32, 32), 10
PUBLISHED = ("DARTS_V1", "DARTS_V2")
BOUND = "DARTS_V2"
LEAST = 0.9
"""Random cells have this share of the bound's parameters or more."""
RANDOM = 12
BY_PRIOR = ", by prior"
"""How the name of a group ends whose cells the prior chose among what a search had scored."""
DRAWN, TRAINED = "random", "test_accuracy"
RESULTS = Path(__file__).parent / "results"
CELL_COLUMNS = ("group", "number", "genotype")
SETTINGS = ("cells", "channels", "size", "images", "epochs", "batch_size", "precision")
COLUMNS = ("genotype", "params", "seed", *SETTINGS, TRAINED, "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("draw", "add", "train", "report"))
    parser.add_argument("group", nargs="?", help="of add: what the searches are called")
    parser.add_argument("runs", nargs="*", type=Path, help="of add: run directories")
    parser.add_argument("--by", default="fitness", choices=("fitness", "prior"), help="of add")
    parser.add_argument("--file", type=Path, default=RESULTS / "equal_size_cells.csv")
    parser.add_argument("--out", type=Path, default=RESULTS / "equal_size_trainings.csv")
    parser.add_argument("--cifar10", help="an .npz")
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--size", type=int, default=16, help="side of the images, pixels")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--groups", nargs="+", help="all if not given")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--page", type=Path, help="of report: the page whose table is written anew")
    parser.add_argument("--plot", type=Path, help="of report: the picture that is drawn")
    options = parser.parse_args()
    if options.part == "draw":
        draw(options.file, {"cells": options.cells, "channels": options.channels})
    elif options.part == "add":
        add(options.file, options.group, options.runs, options.by)
    elif options.part == "train":
        train(options)
    else:
        text = report(read_rows(options.file), _results(options).rows())
        say(header(**_settings(options)))
        say(text)
        if options.page:
            page = options.page.read_text(encoding="utf-8")
            options.page.write_text(replaced(page, "trained", text), encoding="utf-8")
        if options.plot:
            means = by_group(read_rows(options.file), by_cell(_results(options).rows()))
            save(picture(means), options.plot)


def draw(file: Path, macro: dict[str, int]) -> None:
    """Write the published cells and the first :data:`RANDOM` random ones of the right size."""
    space = SPACES.get(SPACE).space()
    bound = space.cost(space.parse(BOUND), IMAGE, CLASSES, **macro).params
    rng = np.random.default_rng(0)
    found: list[str] = []
    while len(found) < RANDOM:
        genotype = space.sample(rng)
        if LEAST * bound <= space.cost(genotype, IMAGE, CLASSES, **macro).params <= bound:
            found.append(str(genotype))
    rows = [(DRAWN, number, text) for number, text in enumerate(found)]
    rows += [(name, 0, str(space.parse(name))) for name in PUBLISHED]
    append_rows(file, CELL_COLUMNS, rows)


def add(file: Path, group: str, runs: Sequence[Path], by: str = "fitness") -> None:
    """Write the best cell of each run, by its fitness or by the prior, as one of ``group``."""
    rows = [(group, number, best(run, by)) for number, run in enumerate(runs)]
    append_rows(file, CELL_COLUMNS, rows)


def best(run: Path, by: str) -> str:
    """Return the best cell of a run: what it gave, or what ``finalists.by=prior`` would take."""
    if by == "fitness":
        return nas_search.load(run).genotype
    space = SPACES.get(SPACE).space()
    scored = [one for one in open_run(run).evaluations if one.status == "ok"]
    return max(with_scores(scored, PRIOR, space), key=lambda one: one.scores[PRIOR]).genotype


def _settings(options: argparse.Namespace) -> dict[str, object]:
    return {name: getattr(options, name) for name in SETTINGS}


def _results(options: argparse.Namespace) -> Results:
    return Results(options.out, COLUMNS, _settings(options), ("genotype", "seed"))


def train(options: argparse.Namespace) -> None:
    """Train every cell with every seed that is not trained yet.

    One seed of all before the next, and the groups in turn, so that what is done is balanced.
    """
    recipe = read_recipe(
        "fast",
        epochs=options.epochs,
        batch_size=options.batch_size,
        precision=options.precision,
        channels_last=options.channels_last,
    )
    # CIFAR-10's objects stay what they are in a mirror; the recipe's own default is for digits too.
    mirrored = dataclasses.replace(recipe.augmentation, flip=True)
    recipe = with_crop(dataclasses.replace(recipe, augmentation=mirrored), options.size)
    cells = [
        row["genotype"]
        for row in sorted(read_rows(options.file), key=lambda row: int(row["number"]))
        if not options.groups or row["group"] in options.groups
    ]
    results = _results(options)
    macro = {"cells": options.cells, "channels": options.channels}
    data = None
    wanted = [(cell, seed) for seed, cell in itertools.product(range(options.seeds), cells)]
    for genotype, seed in results.missing(wanted):
        data = data or cifar10(options.cifar10, options.images, None, options.size)
        architecture = Architecture(SPACE, genotype, data.input_shape, data.num_classes, macro, {})
        done = train_once(architecture, data, recipe, seed, options.device)
        params = architecture.cost().params
        results.add(
            {
                **{"genotype": genotype, "params": params, "seed": seed},
                **{TRAINED: round(done.test[0], 4), "seconds": round(done.seconds, 2)},
            }
        )
        say(f"{params:,} parameters, seed {seed}: {done.test[0]:.2f} %")


def report(cells: Sequence[Row], trainings: Sequence[Row]) -> str:
    """Return mean accuracies by group, best first, and how far each is from the random cells.

    A cell's accuracy is the mean over its seeds; groups are compared by their cells (Welch's t), as
    another search would find other cells. A published cell is one network: it is set against the
    spread of the random ones.
    """
    groups = _groups(cells)
    accuracies = by_cell(trainings)
    params = {row["genotype"]: int(row["params"]) for row in trainings}
    means = by_group(cells, accuracies)
    lines = []
    for group, values in sorted(means.items(), key=lambda pair: -pair[1].mean()):
        sizes = [params[cell] for cell in groups[group] if cell in params]
        of = len(groups[group])
        count = str(of) if len(values) == of else f"{len(values)} of {of} so far"
        line = [group, count, f"{np.mean(sizes):,.0f}", f"{values.mean():.2f}"]
        line.append(f"{np.std(values, ddof=1):.2f}" if len(values) > 1 else "")
        # A lead over a few of the random cells would say little.
        comparable = group != DRAWN and len(means.get(DRAWN, ())) == len(groups.get(DRAWN, ())) > 1
        line += _against(values, means[DRAWN]) if comparable else ["", ""]
        lines.append(line)
    titles = ["group", "cells", "parameters", "test accuracy, %", "standard deviation"]
    titles += ["ahead of random by", "probability of being ahead"]
    return "\n".join(
        [table(titles, lines), *_same_searches(cells, accuracies), _stability(accuracies)]
    )


def by_cell(trainings: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return test accuracies by genotype and seed, %."""
    accuracies: dict[str, dict[str, float]] = {}
    for row in trainings:
        accuracies.setdefault(row["genotype"], {})[row["seed"]] = float(row[TRAINED])
    return accuracies


def by_group(
    cells: Sequence[Row], accuracies: Mapping[str, Mapping[str, float]]
) -> dict[str, Array]:
    """Return the accuracy of each trained cell of a group, its mean over seeds, by group."""
    return {
        group: np.array([np.mean(list(accuracies[cell].values())) for cell in done])
        for group, by in _groups(cells).items()
        if (done := [cell for cell in by if cell in accuracies])
    }


def _groups(cells: Sequence[Row]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for row in cells:
        groups.setdefault(row["group"], []).append(row["genotype"])
    return groups


def picture(means: Mapping[str, Array]) -> Figure:
    """Return the cells of each group as points, with the group's mean and 95 % interval."""
    with style():
        figure = Figure(
            figsize=(7, 0.8 + 0.5 * len(means)), facecolor="white", layout="constrained"
        )
        axes = figure.add_subplot()
        ordered = sorted(means, key=lambda group: means[group].mean())
        for height, group in enumerate(ordered):
            values = means[group]
            axes.plot(values, np.full(len(values), height), "o", color=MUTED, ms=5, alpha=0.6)
            if len(values) > 1:
                error = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
                axes.errorbar(values.mean(), height, xerr=error, fmt="D", color=INK, capsize=4)
        if DRAWN in means:
            axes.axvline(means[DRAWN].mean(), color=MUTED, lw=1, ls=":")
        axes.set_yticks(range(len(ordered)), ordered)
        axes.set_ylim(-0.6, len(ordered) - 0.4)
        axes.set_xlabel("test accuracy, % (points: cells; diamonds: mean and 95 % interval)")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure


def _against(values: Array, others: Array) -> list[str]:
    """Return a lead with its standard error, and the probability that it is above zero."""
    lead = values.mean() - others.mean()
    spread = np.var(others, ddof=1)
    if len(values) > 1:
        mine, theirs = np.var(values, ddof=1) / len(values), spread / len(others)
        error = math.sqrt(mine + theirs)
        degrees = (mine + theirs) ** 2 / (
            mine**2 / (len(values) - 1) + theirs**2 / (len(others) - 1)
        )
    else:
        error, degrees = math.sqrt(spread * (1 + 1 / len(others))), len(others) - 1
    return [f"{lead:+.2f} +- {error:.2f}", f"{stats.t.cdf(lead / error, degrees):.3f}"]


def _same_searches(
    cells: Sequence[Row], accuracies: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """Return what another choice of finalists found in the same searches, search by search.

    The groups are those added ``--by prior`` under the name of another with :data:`BY_PRIOR`. Of a
    search only seeds count that both its cells were trained with.
    """
    by_number = {(row["group"], row["number"]): row["genotype"] for row in cells}
    said = []
    for group in _groups(cells):
        leads = []
        for (own, number), chosen in by_number.items():
            fittest = by_number.get((group, number))
            if own != group + BY_PRIOR or fittest is None:
                continue
            one, other = (accuracies.get(cell, {}) for cell in (chosen, fittest))
            if both := set(one) & set(other):
                leads.append(np.mean([one[seed] - other[seed] for seed in both]))
        if len(leads) > 1:
            error, chance = stats.sem(leads), stats.ttest_1samp(leads, 0).pvalue
            said.append(
                f"\nFinalists of the same {len(leads)} searches by {group}: those of the prior are "
                f"ahead of those of the fitness by {np.mean(leads):+.2f} +- {error:.2f} points "
                f"(p = {chance:.3f}, two-sided), in {np.sum(np.array(leads) > 0)} of {len(leads)}."
            )
    return said


def _stability(accuracies: dict[str, dict[str, float]]) -> str:
    """Return how two seeds agree about the order of the cells that both trained."""
    pairs = np.array([(by["0"], by["1"]) for by in accuracies.values() if {"0", "1"} <= set(by)])
    if len(pairs) < 3:
        return ""
    rho = stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic
    noise = np.std(pairs[:, 0] - pairs[:, 1], ddof=1) / math.sqrt(2)
    return (
        f"\nThe order of {len(pairs)} cells by each of two seeds: Spearman's rho {rho:.2f}; "
        f"a seed moves an accuracy by {noise:.2f} points (standard deviation)."
    )


if __name__ == "__main__":
    main()
