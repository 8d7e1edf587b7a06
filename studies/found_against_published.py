"""Whether a found DARTS cell trains better than the published DARTS_V2 and than random cells.

All are trained by one and the same recipe, ``fast`` with mirrored images, on CIFAR-10: all training
images are learnt from and the test images are read once, at the end. The found cell is the best of
one search with the default settings (digits, seed 0, ``gradalign``):

    python -m nas_search hydra.run.dir=outputs/found budget.minutes=null    # 1,000 evaluations
    python -m studies.found_against_published --cifar10 cifar10.npz --found outputs/found \
        --device cuda --precision bf16 --channels-last

is the published size (20 cells, 36 channels), meant for a GPU. Without --found the cell is the one
that this search found on a CPU. For a CPU, reduced (crops in proportion):

    python -m studies.found_against_published --cifar10 cifar10.npz \
        --cells 4 --channels 8 --size 16 --images 8000 --epochs 6

Results are kept in --out as they come; what is there is not trained again.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

import nas_search
from benchmarks.common import genotypes, header, say
from benchmarks.reduced import cifar10, read_recipe, with_crop
from nas_search.runs.architecture import Architecture
from nas_search.spaces import SPACES
from nas_search.tables import Array
from studies.result_files import Row
from studies.trainings import Results, train_once

FOUND = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 0), "
    "('sep_conv_5x5', 2), ('sep_conv_5x5', 0), ('sep_conv_5x5', 3), ('sep_conv_5x5', 1), "
    "('sep_conv_5x5', 4)], normal_concat=[2, 3, 4, 5], reduce=[('sep_conv_5x5', 0), "
    "('dil_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), "
    "('sep_conv_5x5', 3), ('sep_conv_3x3', 1), ('dil_conv_5x5', 3)], reduce_concat=[2, 3, "
    "4, 5])"
)
"""What the search with the default settings, ``budget.minutes=null``, found."""

PUBLISHED = "DARTS_V2"
RANDOM = 3
SETTINGS = ("cells", "channels", "size", "images", "tests", "epochs", "precision", "channels_last")
COLUMNS = ("name", "genotype", "params", "seed", *SETTINGS, "test_accuracy", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", required=True)
    parser.add_argument("--found", default=FOUND, help="text form, best.json or run directory")
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--channels", type=int, default=36)
    parser.add_argument("--size", type=int, default=32, help="side of the images, pixels")
    parser.add_argument("--images", type=int, help="training images; all if not given")
    parser.add_argument("--tests", type=int, help="test images; all if not given")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("outputs/found_against_published.csv"))
    options = parser.parse_args()
    recipe = read_recipe(
        "fast",
        epochs=options.epochs,
        precision=options.precision,
        channels_last=options.channels_last,
    )
    # CIFAR-10's objects stay what they are in a mirror; the recipe's own default is for digits too.
    mirrored = dataclasses.replace(recipe.augmentation, flip=True)
    recipe = with_crop(dataclasses.replace(recipe, augmentation=mirrored), options.size)
    chosen = {
        name: "all" if getattr(options, name) is None else getattr(options, name)
        for name in SETTINGS
    }
    cells = contestants(options.found)
    results = Results(options.out, COLUMNS, chosen, ("genotype", "seed"))
    wanted = [(cells[name], seed) for seed in range(options.seeds) for name in cells]
    names = {genotype: name for name, genotype in cells.items()}
    macro = {"cells": options.cells, "channels": options.channels}
    data = None
    for genotype, seed in results.missing(wanted):
        data = data or cifar10(options.cifar10, options.images, options.tests, options.size)
        architecture = Architecture(
            "darts", genotype, data.input_shape, data.num_classes, macro, {}
        )
        done = train_once(architecture, data, recipe, seed, options.device)
        results.add(
            {
                "name": names[genotype],
                "genotype": genotype,
                "params": architecture.cost().params,
                "seed": seed,
                "test_accuracy": round(done.test[0], 4),
                "seconds": round(done.seconds, 2),
            }
        )
        say(f"{names[genotype]} seed {seed}: {done.test[0]:.2f} %")
    say(header(recipe=f"{recipe.name}, mirrored", **chosen, seeds=options.seeds))
    done_rows = [
        row
        for row in results.rows()
        if row["genotype"] in names and int(row["seed"]) < options.seeds
    ]
    say(report(done_rows))


def contestants(found: str) -> dict[str, str]:
    """Return the text form of each cell by its name."""
    space = SPACES.get("darts").space()
    cells = {"found": _found(found), PUBLISHED: str(space.parse(PUBLISHED))}
    for number, genotype in enumerate(genotypes("darts", RANDOM), 1):
        cells[f"random {number}"] = str(genotype)
    return cells


def _found(text: str) -> str:
    if not text.startswith("Genotype"):
        text = nas_search.load(text).genotype
    return str(SPACES.get("darts").space().parse(text))


def report(rows: list[Row]) -> str:
    """Return accuracies by cell, best first, and how far the found cell is from the others.

    Seeds with which not all cells are trained yet are left out.
    """
    accuracies: dict[str, dict[str, float]] = {}
    facts = {}
    for row in rows:
        accuracies.setdefault(row["name"], {})[row["seed"]] = float(row["test_accuracy"])
        facts[row["name"]] = (int(row["params"]), float(row["seconds"]))
    seeds = sorted(set.intersection(*(set(by) for by in accuracies.values())))
    values = {name: np.array([by[seed] for seed in seeds]) for name, by in accuracies.items()}
    if not seeds or not {"found", PUBLISHED} < set(values):
        return "not all cells are trained yet"
    lines = ["| cell | parameters | test accuracy | of each seed | s per training |"]
    lines.append("|---|---|---|---|---|")
    for name in sorted(values, key=lambda name: -values[name].mean()):
        params, seconds = facts[name]
        each = " / ".join(f"{value:.2f}" for value in values[name])
        accuracy = f"{values[name].mean():.2f}{_deviation(values[name])}"
        lines.append(f"| {name} | {params:,} | {accuracy} | {each} | {seconds:.0f} |")
    random = np.mean([v for name, v in values.items() if name.startswith("random")], axis=0)
    for title, other in ((PUBLISHED, values[PUBLISHED]), ("the mean of the random cells", random)):
        lead = values["found"] - other
        lines += [
            "",
            f"The found cell less {title}: {lead.mean():+.2f}{_deviation(lead)} points, ahead with "
            f"{(lead > 0).sum()} of {len(lead)} seeds.",
        ]
    return "\n".join(lines)


def _deviation(values: Array) -> str:
    return f" +- {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""


if __name__ == "__main__":
    main()
