"""Learn a prior, say how well it orders what it did not see, and write it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from nas_search.commands.learn_schema import LearnConfig
from nas_search.commands.screen import prose
from nas_search.core.errors import InputError, RunError
from nas_search.priors import Prior, fit_prior
from nas_search.priors.held_out import HeldOut, Rows, cross_validated, judged
from nas_search.priors.shipped import shipped_names, shipped_prior
from nas_search.tables import Array

FEWEST_JUDGED = 20
"""Trainings of a protocol below which a figure would say nothing."""

JUDGED_TREES = 50
"""Trees of the priors of cross-validation: more change little, and take time ten times."""


def run_learn(config: LearnConfig, console: Console) -> Prior:
    """Fit a prior and write it to its file.

    Returns:
        The prior.

    Raises:
        InputError: there is too little to learn from, or accuracies are constant.
        RunError: the disk refuses.
    """
    for note in config.notes:
        prose(console, f"note: {note}")
    prior = _fitted(config, config.accuracies)
    counts = {name: int((~np.isnan(column)).sum()) for name, column in config.accuracies.items()}
    figures = _figures(config)
    card = {
        "fitted_on": ", ".join(config.sources),
        "trainings": counts,
        "weights": {name: config.weights.get(name, 1.0) for name in counts},
        "on": dict(config.base.card) if config.base else None,
        "scores": list(config.scores),
        "held_out": [figure.to_json() for figure in figures],
    }
    references = prior.references
    if not references and config.space.name in shipped_names():
        references = shipped_prior(config.space).references  # no matter of accuracies
    prior = prior.described(card, references)
    try:
        prior.save(config.to)
    except OSError as error:
        raise RunError(f"cannot write {config.to} ({error.strerror})") from None
    for name, count in counts.items():
        console.print(f"{name}: {count} trainings", highlight=False, soft_wrap=True)
    for figure in figures:
        console.print(str(figure), highlight=False, soft_wrap=True)
    if not figures:
        console.print(
            f"fewer than {FEWEST_JUDGED} trainings: too few to say how well it orders others",
            highlight=False,
            soft_wrap=True,
        )
    console.print(_next_step(config), highlight=False, soft_wrap=True)
    return prior


def _next_step(config: LearnConfig) -> str:
    """Return what can be done with the prior."""
    told = f"{config.to} is a prior of search_space={config.space.name}"
    if config.scores:
        names = ", ".join(config.scores)
        return (
            f"{told} that takes {names}, measured as it was there: "
            "nas_search.priors.load_prior(path, space).predict(architectures, scores)"
        )
    return (
        f"{told}; search by it: python -m nas_search search_space={config.space.name} proxy=prior "
        f"proxy.path={config.to}"
    )


def _fitted(config: LearnConfig, accuracies: dict[str, Array], trees: int | None = None) -> Prior:
    return fit_prior(
        config.space,
        config.architectures,
        accuracies,
        config.weights,
        scores=config.scores,
        seed=config.seed,
        base=config.base,
        trees=trees,
    )


def _figures(config: LearnConfig) -> list[HeldOut]:
    """Return how well priors order trainings of each protocol that they did not see."""
    figures = []
    for name, column in config.accuracies.items():
        rows = np.flatnonzero(~np.isnan(column))
        if len(rows) < FEWEST_JUDGED:
            continue
        keys = [config.space.canonical(one) for one in config.architectures]

        def predict(train: Rows, test: Rows) -> Array:
            known = {
                own: np.where(train, values, np.nan) for own, values in config.accuracies.items()
            }
            try:
                taught = {own: values for own, values in known.items() if _teaches(values)}
                prior = _fitted(config, taught, JUDGED_TREES)
            except InputError:  # too few are left
                return np.zeros(int(test.sum()))
            return prior.predict(*_of(config, np.flatnonzero(test)))[0]

        predicted = cross_validated(keys, rows, predict)
        figures.append(judged(name, "cross-validation", predicted, column[rows]))
        if config.base is not None:
            alone = config.base.predict(*_of(config, rows))[0]
            figures.append(judged(name, "the prior that it starts from", alone, column[rows]))
    return figures


def _of(config: LearnConfig, rows: NDArray[np.int64]) -> tuple[list[Any], dict[str, Array]]:
    """Return the architectures of some rows, and their scores by name."""
    chosen = [config.architectures[row] for row in rows.tolist()]
    return chosen, {name: column[rows] for name, column in config.scores.items()}


def _teaches(values: Array) -> bool:
    known = values[~np.isnan(values)]
    return len(known) > 1 and float(np.ptp(known)) > 0
