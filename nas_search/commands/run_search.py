"""A whole search: data, scoring, algorithm and store put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from nas_search import report
from nas_search.bridges import Bridges
from nas_search.commands.constraints import constraint_facts, resolve_constraints
from nas_search.commands.failures import failure_remark, mostly_failed
from nas_search.commands.feasible import check_constraints
from nas_search.commands.filling import filling_remark
from nas_search.commands.latency import Latency, prepare_latency
from nas_search.commands.opening import opening_line, rest_line
from nas_search.commands.pages import write_after
from nas_search.commands.redraw import redraw
from nas_search.commands.run_folder import drop_configuration, keep_configuration
from nas_search.commands.said_of_data import say
from nas_search.commands.samples import write_samples
from nas_search.commands.screen import prose, verbatim
from nas_search.commands.search_finalists import measure_result, train_result
from nas_search.commands.search_report import SearchResult, print_report, write_report
from nas_search.commands.search_schema import SearchConfig
from nas_search.commands.settings import kept_options, probe_digest, scoring_task
from nas_search.core.device import resolve_device
from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import Evaluation
from nas_search.core.garbage import keep_imports
from nas_search.core.versions import versions
from nas_search.costs import At
from nas_search.data import ImageData, fingerprint, probe_notes
from nas_search.gradients.counting import uncounted_remark
from nas_search.runs.measured import read_measured
from nas_search.runs.store import Store
from nas_search.scoring import ScoringTask, Workers
from nas_search.search import Algorithm, FeasibleGenotypes, Genotypes, SearchOutcome, run_loop
from nas_search.search.guided import TRAINED
from nas_search.search.lineage import parents_by_number

LOOKAHEAD = 256
"""Candidates handed to the workers at once where none depends on another's result."""


def run_search(config: SearchConfig, directory: Path, console: Console) -> SearchOutcome:
    """Search, or continue the search that ``directory`` holds, and write its report there.

    Args:
        config: what to do.
        directory: the run directory; exists.
        console: where progress and the final table go.

    Returns:
        How the search ended, with every evaluation.

    Raises:
        InputError: the request cannot be carried out as written.
        RunError: nothing could be scored, or the store or the disk fails.
    """
    with Bridges(config.bridges, directory, lambda line: prose(console, line)) as bridges:
        return _run(config, directory, console, bridges)


def _run(
    config: SearchConfig, directory: Path, console: Console, bridges: Bridges
) -> SearchOutcome:
    keep_imports()
    prose(console, opening_line(config))
    data = config.dataset.load(config.dataset_options)
    if config.learning is not None:
        budget = config.learning.budget(config.budget, data)
        config = dataclasses.replace(config, budget=budget)
    tasks = search_tasks(config, data)
    tasks, latency = _with_latency(config, tasks, directory, console)
    task = tasks[0]
    sample = config.space.sample(np.random.default_rng(0))
    task.check_sizes(sample)
    doubts = config.table.notes if config.table is not None else ()
    say(data, console, [*probe_notes(task.images), *doubts])
    for remark in (
        uncounted_remark(task.cost(sample).uncounted),
        config.learning.remark(data) if config.learning is not None else "",
    ):
        if remark:
            prose(console, remark)
    check_constraints(task)
    facts = search_facts(config, tasks, data)
    facts |= {"latency": latency.facts()} if latency else {}
    guide = None
    if config.learning is not None:
        guide = config.learning.guide(config.space, config.proxy.name, facts["protocol"])
    space = feasible_space(task)
    algorithm: Any = config.algorithm.algorithm(
        space,
        np.random.default_rng([config.seed, *b"search"]),
        config.objectives,
        config.algorithm_options,
    )
    if guide is not None:
        algorithm.guide = guide
    try:
        with Store(directory / "run.sqlite") as store:
            store.claim(facts, search_notes(config))
            keep_configuration(config.composed, directory)
            evolves = config.algorithm.name == "regularized_evolution"
            remark = filling_remark(
                task.device, config.batch, evolves and bool(task.proxies), config.budget.evaluations
            )
            if remark:
                prose(console, remark)
            told = {**facts, "budget": dataclasses.asdict(config.budget)}
            bridges.start(told, config.objectives, store.evaluations())
            outcome = _search(config, tasks, data, algorithm, store, console, bridges)
            proposals = space.report() if isinstance(space, FeasibleGenotypes) else {}
            result = SearchResult(
                config, task, outcome, algorithm.duplicates, facts, proposals, guide
            )
            notes = search_notes(config)
            notes["parents"] = parents_by_number(algorithm.parents, outcome.evaluations)
            if latency:
                result = dataclasses.replace(result, measured=read_measured(directory))
            if guide is not None:
                notes["ranking"] = [number for number, _ in result.ranked]
            store.claim(facts, notes)
    except InputError:
        if not (directory / "run.sqlite").exists():  # nothing was scored: it leaves no trace
            drop_configuration(directory)
        raise
    write_report(result, directory)
    measured = None
    if latency and outcome.stop != "interrupted" and not mostly_failed(outcome.evaluations):
        result, measured = measure_result(result, latency, data, console)
        write_report(result, directory)
    if outcome.stop != "interrupted" and not mostly_failed(outcome.evaluations):
        redraw(result, tasks, directory, console)
    print_report(result, directory, console)
    remark = failure_remark(outcome.evaluations)
    if outcome.stop != "interrupted":
        if not result.ranked:
            if any(evaluation.status == "ok" for evaluation in outcome.evaluations):
                raise RunError(
                    "all architectures with a score were measured outside the bound on the latency "
                    f"({directory / 'latency_best.csv'}); change constraints.max_latency_ms or "
                    "search longer"
                )
            raise RunError(
                f"none of the {len(outcome.evaluations)} candidates got a score; "
                f"{remark}{'; ' * bool(remark)}see the reasons in {directory / 'history.csv'}"
            )
        if mostly_failed(outcome.evaluations) and config.proxy.lookup is None:
            raise RunError(f"{remark}; the best of the others says little, and is not trained")
        if remark:
            prose(console, remark)
        try:
            train_result(result, data, directory, console, measured)
        finally:
            bridges.curves()
        write_samples(data, config.samples, directory, console)
        write_after(directory, console)
    return outcome


def _with_latency(
    config: SearchConfig, tasks: list[ScoringTask], directory: Path, console: Console
) -> tuple[list[ScoringTask], Latency | None]:
    """Return the tasks with what tells latencies, if any are asked for.

    Raises:
        InputError: the other bounds cannot be met, or the device or the table is not there.
    """
    task, constraints = tasks[0], tasks[0].constraints
    if "latency" not in constraints.names:
        return tasks, None
    # The other bounds first: what they rule out need not wait for measurements.
    others = {key: bound for key, bound in constraints.bounds.items() if "latency" not in key}
    counted = dataclasses.replace(constraints, bounds=others, also=())
    check_constraints(dataclasses.replace(task, constraints=counted))
    where = (config.seed, directory, console)
    latency = prepare_latency(config.latency, config.space, task.at, *where, constraints.bounds)
    at = dataclasses.replace(task.at, latency=latency.model)
    known = dataclasses.replace(constraints, at=at)
    return [dataclasses.replace(one, constraints=known) for one in tasks], latency


def search_tasks(config: SearchConfig, data: ImageData) -> list[ScoringTask]:
    """Return what workers must know to score candidates of ``config``; reads the probe batches.

    Raises:
        InputError: the data is too small, or the device does not exist.
    """
    device = resolve_device(config.device)
    scored = At(data.input_shape, data.num_classes, config.macro)
    constraints = resolve_constraints(config.constraints, config.space, scored, config.recipe)
    return [
        scoring_task(
            data,
            one.scores,
            one.settings,
            config.seed,
            space=config.space,
            macro=config.macro,
            constraints=constraints,
            device=device,
            precision=config.precision,
        )
        for one in config.proxy.measured()
    ]


def feasible_space(task: ScoringTask) -> Genotypes:
    """Return the space of ``task``, with moves that lead back where a bound is broken."""
    bounds = task.constraints
    if not bounds.bounds:
        return task.space
    return FeasibleGenotypes(task.space, lambda genotype: bounds.excess(task.costs(genotype)))


def search_facts(
    config: SearchConfig, tasks: Sequence[ScoringTask], data: ImageData
) -> dict[str, Any]:
    """Return what defines the history of a search; budget, workers and device may change."""
    return {
        "seed": config.seed,
        "search_space": {"name": config.space.name, **config.space_options, **config.macro},
        **config.proxy.facts(),
        "algorithm": {
            "name": config.algorithm.name,
            **dataclasses.asdict(config.algorithm_options),
            "batch": config.batch,
        },
        "dataset": config.dataset.name,
        "num_classes": tasks[0].num_classes,
        "data": fingerprint(data),
        "probe_batch": probe_digest(tasks),
        "constraints": constraint_facts(tasks[0].constraints, tasks[0].at),
        **_learning_facts(config, data),
        # Only where they differ: what was recorded before there was a choice can be continued.
        **({"precision": config.precision} if config.precision != "fp32" else {}),
        **({"objectives": list(map(str, config.objectives))} if config.several else {}),
    }


def _learning_facts(config: SearchConfig, data: ImageData) -> dict[str, Any]:
    if config.learning is None:
        return {}
    protocol = config.learning.protocol(config.macro, data)
    return {"learning": config.learning.facts(), "protocol": protocol}


def search_notes(config: SearchConfig) -> dict[str, Any]:
    """Return what a run keeps to be read later and may change when it is continued."""
    return {
        "dataset_options": kept_options(config.dataset_options),
        "plugins": list(config.plugins),
        "versions": versions(),
        # Of each evaluation the numbers of those it was made from, once the search has ended.
        "parents": [],
        # Numbers of the evaluations, best first, once a search that trains has ended.
        **({"ranking": []} if config.learning is not None else {}),
    }


def _search(
    config: SearchConfig,
    tasks: Sequence[ScoringTask],
    data: ImageData,
    algorithm: Algorithm,
    store: Store,
    console: Console,
    bridges: Bridges,
) -> SearchOutcome:
    """Run the loop on what ``store`` does not hold yet."""
    objective = config.objectives[0]
    recorded, elapsed = store.evaluations(), store.elapsed()
    if recorded:
        counted = sum(e.status != "rejected" and TRAINED not in e.scores for e in recorded)
        rest = rest_line(config.budget, counted, elapsed) if config.learning is None else ""
        verbatim(
            console, f"continuing after {len(recorded)} evaluations in {store.path.parent}{rest}"
        )
    scored = [e for e in recorded if TRAINED not in e.scores]
    done = sum(e.status != "rejected" for e in scored)
    trained = [e.scores[TRAINED] for e in recorded if TRAINED in e.scores]
    minutes = config.budget.minutes
    seconds = None if minutes is None else 60 * minutes
    learning, budget = config.learning, config.budget
    workers = _LateWorkers(lambda: config.proxy.start(config.executor, tasks))
    trainers = None
    if learning is not None:
        run = store.path.parent
        trainers = _LateWorkers(lambda: learning.start(config.executor, tasks[0], data, run))
    try:
        with report.Progress(
            console,
            objective,
            budget.evaluations if learning is None else None,
            seconds,
            (done, scored),
            None if learning is None else (TRAINED, trained),
        ) as progress:

            def show(evaluation: Evaluation, seconds: float) -> None:
                progress.advance(evaluation, seconds)
                bridges.evaluation(evaluation)

            return run_loop(
                algorithm,
                workers.evaluate,
                budget,
                store,
                train=trainers.evaluate if trainers is not None else None,
                recorded=recorded,
                elapsed=elapsed,
                batch=config.batch,
                ahead=LOOKAHEAD,
                progress=show,
            )
    finally:
        workers.close()
        if trainers is not None:
            trainers.close()


class _LateWorkers:
    """Workers that start with the first candidate: a finished run needs none."""

    def __init__(self, start: Callable[[], Workers]) -> None:
        self._start = start
        self._workers: Workers | None = None

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int, stop: int
    ) -> Iterator[Evaluation]:
        if start >= stop:
            return iter(())
        if self._workers is None:
            self._workers = self._start()
        return self._workers.evaluate(genotypes, start, stop)

    def close(self) -> None:
        if self._workers is not None:
            self._workers.close()
