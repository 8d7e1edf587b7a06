"""What a prior of one task of TransNAS-Bench-101 tells of the others.

For each task a prior is fitted to nine tenths of the architectures, and ranks the last tenth on all
seven tasks; texts of one network are never on both sides. Room layout counts by its negated loss.

    python -m studies.transnas_tasks micro --data ../shared/data

prints Spearman's rho, rows by the task fitted on; under the table, how far the table's
own column of a task ranks the architectures on the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from nas_search.priors import fit_prior
from nas_search.priors.forest import Array
from nas_search.priors.held_out import Rows, cross_validated
from nas_search.spaces import SPACES
from studies import markdown
from studies.shipped_priors import read_csv

TREES = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("micro", "macro"))
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    texts, tasks = read_tasks(options.data, options.kind)
    print(
        shown(f"{len(texts):,}, prior of", between(predictions(options.kind, texts, tasks), tasks))
    )
    print(shown("the task itself", between(tasks, tasks)))


def read_tasks(data: Path, kind: str) -> tuple[list[str], dict[str, Array]]:
    """Return the texts of a space's architectures and by task how good they are."""
    rows = [row for row in read_csv(data / "transnas101.csv") if row["space"] == kind]
    tasks = {
        name.partition("__")[0]: (-1 if name.endswith("loss") else 1)
        * np.array([float(row[name]) for row in rows])
        for name in list(rows[0])[2:]
    }
    return [row["arch"] for row in rows], tasks


def predictions(
    kind: str, texts: list[str], tasks: Mapping[str, Array], trees: int = TREES
) -> dict[str, Array]:
    """Return by task what priors of it say of the architectures that they did not see."""
    space = SPACES.get(f"transnas_{kind}").space()
    cells = [space.parse(text) for text in texts]
    keys = [space.canonical(cell) for cell in cells]

    def of(column: Array) -> Array:
        def predict(train: Rows, test: Rows) -> Array:
            known = [cells[row] for row in np.flatnonzero(train)]
            prior = fit_prior(space, known, {"task": column[train]}, trees=trees)
            return prior.predict([cells[row] for row in np.flatnonzero(test)])[0]

        return cross_validated(keys, np.arange(len(cells)), predict)

    return {name: of(column) for name, column in tasks.items()}


def between(said: Mapping[str, Array], tasks: Mapping[str, Array]) -> dict[str, dict[str, float]]:
    """Return Spearman's rho of each of ``said`` (rows) with each task."""
    return {
        row: {name: float(spearmanr(values, column).statistic) for name, column in tasks.items()}
        for row, values in said.items()
    }


def shown(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table as Markdown."""
    names = list(next(iter(rows.values())))
    lines = [[row, *(markdown.number(str(own[n])) for n in names)] for row, own in rows.items()]
    return markdown.table((title, *names), lines)


if __name__ == "__main__":
    main()
