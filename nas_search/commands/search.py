"""A whole search: data, scoring, algorithm, store and report put together."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

import nas_search
from nas_search import report
from nas_search.commands.search_schema import SearchConfig
from nas_search.commands.train_schema import finalists_of, for_training
from nas_search.core.device import resolve_device
from nas_search.core.errors import RunError
from nas_search.core.evaluation import STATUSES, Evaluation
from nas_search.core.files import write_csv, write_json
from nas_search.data import probe_batch
from nas_search.runs.architecture import Architecture
from nas_search.runs.store import Store
from nas_search.scoring import ScoringTask, Workers, start_workers
from nas_search.scoring.table_lookup import ORACLE, OracleWorkers
from nas_search.search import Algorithm, SearchOutcome, run_loop
from nas_search.tables import Table, truth
from nas_search.training import Finalist, Renderers, TrainingPlan, train_finalists

LOOKAHEAD = 256
"""Candidates handed to the workers at once where none depends on another's result."""

DRAWINGS = 3
"""Best architectures whose cells are drawn."""


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
    task = scoring_task(config)
    score = config.proxy.name
    task.check_sizes(config.space.sample(np.random.default_rng(0)))
    with Store(directory / "run.sqlite") as store:
        store.claim(_facts(config, task), {"versions": versions()})
        recorded, elapsed = store.evaluations(), store.elapsed()
        algorithm = config.algorithm.algorithm(
            config.space,
            np.random.default_rng([config.seed, *b"search"]),
            score,
            config.algorithm_options,
        )
        best = max((e.scores[score] for e in recorded if e.status == "ok"), default=-np.inf)
        done = sum(e.status != "rejected" for e in recorded)
        if recorded:
            console.print(f"continuing after {len(recorded)} evaluations in {directory}")
        pool = _Pool(config, task)
        minutes = config.budget.minutes
        try:
            with report.Progress(
                console,
                score,
                config.budget.evaluations,
                None if minutes is None else 60 * minutes,
                (done, best),
            ) as progress:
                outcome = run_loop(
                    algorithm,
                    pool.evaluate,
                    config.budget,
                    store,
                    recorded=recorded,
                    elapsed=elapsed,
                    batch=config.batch,
                    ahead=LOOKAHEAD,
                    progress=progress.advance,
                )
        finally:
            pool.close()
    ranked = report.best_first(outcome.evaluations, score)
    truths = [truth.accuracies(config.table, e.genotype) for _, e in ranked] if config.table else []
    summary = _summary(config, task, algorithm, outcome, ranked)
    _write_report(config, task, outcome, ranked, truths, summary, directory)
    if ranked:
        console.print(report.leaderboard_table(ranked, score, config.top, truths))
    for column, facts in summary.get("benchmark", {}).items():
        console.print(_truth_line(column, facts), highlight=False, soft_wrap=True)
    counts = ", ".join(f"{count} {status}" for status, count in summary["candidates"].items())
    console.print(
        f"{_STOPS[outcome.stop]} after {outcome.seconds:.1f} s: {counts}; results in {directory}",
        highlight=False,
        soft_wrap=True,
    )
    if not ranked and outcome.stop != "interrupted":
        raise RunError(
            f"none of the {len(outcome.evaluations)} candidates got a score; "
            f"{directory / 'history.csv'} says why of each"
        )
    if config.finalists.k and config.recipe is not None and outcome.stop != "interrupted":
        _train_finalists(config, task, outcome, directory, console)
    return outcome


def _train_finalists(
    config: SearchConfig,
    task: ScoringTask,
    outcome: SearchOutcome,
    directory: Path,
    console: Console,
) -> None:
    assert config.recipe is not None
    basis = Architecture(
        search_space=config.space.name,
        genotype="",
        input_shape=task.input_shape,
        num_classes=task.num_classes,
        macro=config.macro,
        space_options=config.space_options,
    )
    data = config.dataset.load(config.dataset_options)
    found = finalists_of(outcome.evaluations, config.proxy.name, basis, config.finalists)
    candidates = [Finalist(for_training(a, data, config.recipe), score) for a, score in found]
    plan = TrainingPlan(config.recipe, config.finalists, resolve_device(config.device), versions())
    views = Renderers(report.learning_curve, report.finalists_table)
    train_finalists(candidates, data, plan, directory, console, views)


_STOPS = {
    "budget": "finished",
    "exhausted": "the space is exhausted",
    "interrupted": "interrupted (the same command continues it)",
}


def _truth_line(column: str, facts: dict[str, float | None]) -> str:
    if facts["accuracy"] is None:
        return f"{column} of number 1: not in the table"
    return (
        f"{column} of number 1: {facts['accuracy']:.2f} "
        f"(best of the table {facts['best']:.2f}, regret {facts['regret']:.2f})"
    )


def scoring_task(config: SearchConfig) -> ScoringTask:
    """Return what workers must know to score candidates of ``config``: reads the probe batch.

    Raises:
        InputError: the data cannot be read or is too small, or the device does not exist.
    """
    device = resolve_device(config.device)
    data = config.dataset.load(config.dataset_options)
    oracle = config.proxy.name == ORACLE  # nothing is measured: the table is looked up
    images, labels = probe_batch(data, config.proxy.batch_size, config.proxy.classes, config.seed)
    return ScoringTask(
        space=config.space,
        macro=config.macro,
        images=images,
        labels=labels,
        num_classes=data.num_classes,
        proxies=() if oracle else (config.proxy.name,),
        normalization=None if oracle else config.proxy.measuring.normalization,
        parameters="weights" if oracle else config.proxy.measuring.parameters,
        seed=config.seed,
        init="default" if oracle else config.proxy.scheme,
        repeats=config.proxy.repeats,
        constraints=config.constraints,
        device=device,
        precision=config.precision,
    )


class _Pool:
    """Workers that start when the first candidate comes: a finished run needs none."""

    def __init__(self, config: SearchConfig, task: ScoringTask) -> None:
        self._config = config
        self._task = task
        self._workers: Workers | None = None

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int, stop: int
    ) -> Iterator[Evaluation]:
        if start >= stop:
            return iter(())
        if self._workers is None:
            table = self._config.table
            if self._config.proxy.name == ORACLE and table is not None:
                self._workers = OracleWorkers(self._task, table)
            else:
                self._workers = start_workers(self._config.executor, self._task)
        return self._workers.evaluate(genotypes, start, stop)

    def close(self) -> None:
        if self._workers is not None:
            self._workers.close()


def versions() -> dict[str, str]:
    """Return the versions and the hardware that results depend on."""
    return {
        "nas_search": nas_search.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _facts(config: SearchConfig, task: ScoringTask) -> dict[str, Any]:
    """Return what defines the history of a search; budget, workers and device may change."""
    probe = hashlib.sha256(task.images.numpy().tobytes() + task.labels.numpy().tobytes())
    looked_up = config.table if config.proxy.name == ORACLE else None
    return {
        "seed": config.seed,
        "search_space": {"name": config.space.name, **config.space_options, **config.macro},
        "proxy": {
            **dataclasses.asdict(config.proxy),
            "normalization": task.normalization,
        },
        "algorithm": {
            "name": config.algorithm.name,
            **dataclasses.asdict(config.algorithm_options),
            "batch": config.batch,
        },
        "dataset": config.dataset.name,
        "num_classes": task.num_classes,
        "probe_batch": probe.hexdigest()[:16],
        "constraints": dataclasses.asdict(config.constraints),
        # Of other precision only: what was recorded before there was a choice can be continued.
        **({"precision": task.precision} if task.precision != "fp32" else {}),
        **({"oracle": truth.fingerprint(looked_up)} if looked_up else {}),
    }


def _summary(
    config: SearchConfig,
    task: ScoringTask,
    algorithm: Algorithm,
    outcome: SearchOutcome,
    ranked: Sequence[tuple[int, Evaluation]],
) -> dict[str, Any]:
    statuses: Counter[str] = Counter(e.status for e in outcome.evaluations)
    return {
        "stop": outcome.stop,
        "best_score": ranked[0][1].scores[config.proxy.name] if ranked else None,
        **(
            {"benchmark": truth.regrets(config.table, ranked[0][1].genotype)}
            if config.table and ranked
            else {}
        ),
        "candidates": {status: statuses[status] for status in STATUSES if statuses[status]},
        "duplicates_skipped": algorithm.duplicates,
        "search_seconds": round(outcome.seconds, 3),
        "scoring_seconds": round(sum(e.seconds for e in outcome.evaluations), 3),
        "device": task.device,
        **_facts(config, task),
        "versions": versions(),
    }


def _write_report(
    config: SearchConfig,
    task: ScoringTask,
    outcome: SearchOutcome,
    ranked: Sequence[tuple[int, Evaluation]],
    truths: Sequence[dict[str, float | None]],
    summary: dict[str, Any],
    directory: Path,
) -> None:
    score = config.proxy.name
    try:
        write_json(directory / "summary.json", summary)
        report.write_history(directory / "history.csv", outcome.evaluations, [score])
        report.write_leaderboard(directory / "leaderboard.csv", ranked, score, truths)
        report.search_curve(
            [(n, e.scores.get(score), e.status) for n, e in enumerate(outcome.evaluations)],
            directory / "search.png",
            score_name=score,
            algorithm=config.algorithm.name.replace("_", " "),
            random_phase=getattr(config.algorithm_options, "population", None),
        )
        if config.table:
            _write_truth(config.table, outcome, score, directory)
        for rank, (_, evaluation) in reversed(list(enumerate(ranked[:DRAWINGS], 1))):
            for graph in config.space.graphs(config.space.parse(evaluation.genotype)):
                report.draw_cell(
                    graph,
                    directory / f"cell_{rank}_{graph.name}.svg",
                    title=f"{graph.name} cell of number {rank}",
                )
        if ranked:
            number, best = ranked[0]
            architecture = Architecture(
                search_space=config.space.name,
                genotype=best.genotype,
                input_shape=task.input_shape,
                num_classes=task.num_classes,
                macro=config.macro,
                space_options=config.space_options,
            )
            found = {"params": best.params, "macs": best.macs, "number": number}
            write_json(
                directory / "best.json",
                {**architecture.facts(), "scores": best.scores, **found, "versions": versions()},
            )
    except OSError as error:
        raise RunError(
            f"cannot write the report to {directory} ({error.strerror}); every evaluation is in "
            "run.sqlite: free space or permissions and repeat the command"
        ) from error


def _write_truth(table: Table, outcome: SearchOutcome, score: str, directory: Path) -> None:
    """Write how the true accuracy of the best so far came about, as a table and as a curve."""
    found = truth.incumbents(table, outcome.evaluations, score)
    write_csv(
        directory / "accuracy.csv",
        ["number", score, *table.reported],
        [[number, value, *accuracies.values()] for number, value, accuracies in found],
    )
    report.truth_curve(
        found,
        len(outcome.evaluations),
        {column: table.best(column) for column in table.reported},
        directory / "accuracy.png",
        score_name=score,
    )
