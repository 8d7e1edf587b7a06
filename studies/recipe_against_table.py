"""Whether the recipe ``nasbench201_12`` trains cells as NAS-Bench-201 did.

Trains cells spread evenly over the table's accuracies after 12 epochs on CIFAR-10 (``c10_test_12``,
the benchmark's mean over its seeds) and compares ours with them: rank correlation, and mean
difference in points. As the benchmark did, all 50,000 training images are learnt from and the
10,000 test images are read once, at the end. Beside ours stand what else could rank these cells:
the table's own accuracies after 200 epochs, and the number of parameters.

    python -m studies.recipe_against_table --table nasbench201.csv --cifar10 cifar10.npz \
        --device cuda

is the benchmark's protocol at full size, meant for a GPU. For a CPU, reduced (crops in proportion):

    python -m studies.recipe_against_table --table nasbench201.csv --cifar10 cifar10.npz \
        --cells 24 --stage-cells 1 --size 16 --images 20000

Results are kept in --out as they come; what is there is not trained again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import header, say
from benchmarks.reduced import cifar10, read_recipe, with_crop
from nas_search.ranking.correlation import bootstrap_tau, kendall_tau, spearman_rho
from nas_search.runs.architecture import Architecture
from nas_search.spaces import SPACES
from nas_search.tables import BENCHMARKS, Array, Table
from studies.result_files import Row
from studies.trainings import Results, train_once

TRUTH, LATER = "c10_test_12", "c10_test_200"
DRAWS = 10_000
SETTINGS = ("stage_cells", "channels", "size", "images", "tests")
COLUMNS = (
    *("row", "genotype", TRUTH, LATER, "params", "seed", *SETTINGS),
    *("test_accuracy", "seconds"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True)
    parser.add_argument("--cifar10", required=True)
    parser.add_argument("--cells", type=int, default=24, help="how many are trained")
    parser.add_argument("--stage-cells", type=int, default=5)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--size", type=int, default=32, help="side of the images, pixels")
    parser.add_argument("--images", type=int, help="training images; all if not given")
    parser.add_argument("--tests", type=int, help="test images; all if not given")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("outputs/recipe_against_table.csv"))
    options = parser.parse_args()
    reader = BENCHMARKS.get("nasbench201")
    columns = reader.options(options.table, test=[TRUTH, LATER])
    table = reader.read(SPACES.get("nasbench201").space(), columns)
    recipe = with_crop(read_recipe("nasbench201_12"), options.size)
    chosen = {name: getattr(options, name) or "all" for name in SETTINGS}
    results = Results(options.out, COLUMNS, chosen, ("row", "seed"))
    wanted = [(row, s) for s in range(options.seeds) for row in spread(table, options.cells)]
    data = None
    for row, seed in results.missing(wanted):
        data = data or cifar10(options.cifar10, options.images, options.tests, options.size)
        macro = {"cells": options.stage_cells, "channels": options.channels}
        genotype = str(table.architectures[row])
        architecture = Architecture(
            "nasbench201", genotype, data.input_shape, data.num_classes, macro, {}
        )
        done = train_once(architecture, data, recipe, seed, options.device)
        found: dict[str, Any] = {name: table.columns[name][row] for name in (TRUTH, LATER)}
        full_size = architecture.cost(cells=5, channels=16, input_shape=(3, 32, 32))
        found |= {"row": row, "genotype": genotype, "params": full_size.params, "seed": seed}
        found |= {"test_accuracy": round(done.test[0], 4), "seconds": round(done.seconds, 2)}
        results.add(found)
        say(f"cell {row} seed {seed}: {done.test[0]:.2f} %, table {found[TRUTH]:.2f} %")
    say(header(recipe=recipe.name, **chosen, seeds=options.seeds))
    say(report([row for row in results.rows() if int(row["seed"]) < options.seeds]))


def spread(table: Table, count: int) -> list[int]:
    """Return rows at ``count`` evenly spaced quantiles of the accuracy, in a fixed random order.

    The order makes what is done of an unfinished run spread over the table too.
    """
    ascending = np.argsort(table.columns[TRUTH], kind="stable")
    places = ((np.arange(count) + 0.5) / count * len(ascending)).astype(int)
    rows: list[int] = np.random.default_rng(0).permutation(ascending[places]).tolist()
    return rows


def report(rows: list[Row]) -> str:
    """Return the table of rank correlations and the mean difference, over the cells in ``rows``."""
    cells = list(dict.fromkeys(row["row"] for row in rows))
    if len(cells) < 3:
        return f"{len(cells)} cells are too few to compare"

    def mean(column: str) -> Array:
        return np.array([np.mean([float(r[column]) for r in rows if r["row"] == c]) for c in cells])

    truth, ours = mean(TRUTH), mean("test_accuracy")
    lines = [f"| {len(cells)} cells ranked by | tau [95 %] | rho |", "|---|---|---|"]
    for title, values in (
        ("our accuracy", ours),
        ("the table's accuracy after 200 epochs", mean(LATER)),
        ("parameters", mean("params")),
    ):
        low, high = bootstrap_tau(values, truth, DRAWS)
        tau, rho = kendall_tau(values, truth), spearman_rho(values, truth)
        lines.append(f"| {title} | {tau:.2f} [{low:.2f}, {high:.2f}] | {rho:.2f} |")
    offset = ours - truth
    lines += [
        "",
        f"Ours less the table's: {offset.mean():+.2f} points on average, standard deviation "
        f"{offset.std(ddof=1):.2f}, from {offset.min():+.2f} to {offset.max():+.2f}. Ours lie "
        f"between {ours.min():.2f} and {ours.max():.2f} %, the table's between "
        f"{truth.min():.2f} and {truth.max():.2f} %. "
        f"{mean('seconds').mean():.0f} s per training.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
