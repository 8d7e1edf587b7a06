"""Commands of the pages, made small by values that are appended: they run in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.docs.rules import DOWNLOADED, call, sweep_few

IMAGES = ("dataset=npz", "dataset.path=my_data.npz", "dataset.size=8")
NETWORKS = {
    "darts": ("search_space.cells=3", "search_space.channels=2"),
    "nasbench201": ("search_space.cells=1", "search_space.channels=2"),
    "mobilenet": (),
}
TRAINING = ("recipe.epochs=1", "recipe.min_steps=0", "recipe.network=null", "device=cpu")
GUIDED = (
    *("algorithm.scored=1", "algorithm.trained=1", "algorithm.recipe.epochs=1"),
    *("algorithm.recipe.min_steps=0", "budget.trainings=1", "budget.evaluations=4"),
)


def run_small(module: str, arguments: Sequence[str], patch: pytest.MonkeyPatch) -> int:
    """Run a command in this process and return its exit code; of a sweep few of its jobs."""
    sweep_few(patch)
    if module in ("nas_search.report", "nas_search.sweep") or "--help" in arguments:
        return call(module, arguments, patch)
    part = module.removeprefix("nas_search").removeprefix(".") or "search"
    return call(module, [*arguments, *SMALLER[part](arguments)], patch)


def _chosen(arguments: Sequence[str], key: str, otherwise: str = "") -> str:
    return next((one.split("=", 1)[1] for one in arguments if one.startswith(f"{key}=")), otherwise)


def _images(arguments: Sequence[str]) -> tuple[str, ...]:
    chosen = _chosen(arguments, "dataset")
    if chosen in ("", "digits", *DOWNLOADED):
        return IMAGES
    return ("dataset.size=32",) if _space(arguments) == "mobilenet" else ("dataset.size=8",)


def _space(arguments: Sequence[str]) -> str:
    return _chosen(arguments, "search_space", "darts")


def _search(arguments: Sequence[str]) -> Iterator[str]:
    yield from (*_images(arguments), *NETWORKS[_space(arguments)], *TRAINING)
    yield from ("budget.evaluations=4", "budget.minutes=null", "executor=inline")
    yield from ("proxy.batch_size=8", "proxy.repeats=1", "top=1")
    algorithm = _chosen(arguments, "algorithm", "regularized_evolution")
    if algorithm == "nsga2":
        yield "algorithm.population=4"
    elif algorithm in ("regularized_evolution", "guided"):
        yield from ("algorithm.population=2", "algorithm.tournament=1")
    if algorithm == "guided":
        yield from GUIDED
    if _chosen(arguments, "finalists.k"):
        yield "finalists.k=1"
    if _chosen(arguments, "constraints.max_latency_ms"):
        yield from ("latency.networks=10", "latency.repeats=3", "latency.best=1")
        yield from ("constraints.max_latency_ms=1e6",)


def _train(arguments: Sequence[str]) -> Iterator[str]:
    yield from TRAINING
    if _chosen(arguments, "dataset") in DOWNLOADED:
        yield from IMAGES
    if _chosen(arguments, "architecture"):
        yield from ("search_space=darts", *NETWORKS["darts"])
    yield "finalists.k=1"


def _rank(arguments: Sequence[str]) -> Iterator[str]:
    yield from (*IMAGES, *NETWORKS["nasbench201"], "architectures=10", "seeds=[0]", "bootstrap=10")
    yield from ("batch_size=8", "repeats=1", "executor=inline", "device=cpu")


def _nothing(arguments: Sequence[str]) -> Iterator[str]:
    yield from ()


def _learn(arguments: Sequence[str]) -> Iterator[str]:
    yield from ("my_table.csv", "table.architecture=genotype")  # the run has too few trainings


SMALLER = {
    "search": _search,
    "train": _train,
    "rank": _rank,
    "inspect": _nothing,
    "learn": _learn,
}
"""What makes each command small, from its arguments."""
