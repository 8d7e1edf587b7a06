"""A whole ranking study: scores of many architectures, one store per seed, and what they are worth.

Every score is measured as its own definition says unless the user asks otherwise, so scores that
need other images or another number of draws are measured by tasks of their own.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from nas_search import report
from nas_search.commands.measured_together import measured_together
from nas_search.commands.rank_schema import RankConfig
from nas_search.commands.ranking_report import print_ranking, write_ranking
from nas_search.commands.run_folder import keep_configuration
from nas_search.commands.said_of_data import say
from nas_search.commands.settings import probe_digest, scoring_task
from nas_search.core.device import resolve_device
from nas_search.core.evaluation import Evaluation
from nas_search.core.garbage import keep_imports
from nas_search.core.objectives import Objective
from nas_search.core.versions import versions
from nas_search.data import ImageData, fingerprint, probe_notes
from nas_search.proxies import PROXIES
from nas_search.ranking import ranking
from nas_search.ranking.fitted import fitted_columns
from nas_search.ranking.noise_ceiling import noise_of
from nas_search.ranking.ranking import RankingRow
from nas_search.runs.store import Store
from nas_search.scoring import ScoringTask, start_workers

LOOKAHEAD = 2048
"""Architectures handed to the workers at once: full stacks for each of several GPUs."""


def run_ranking(config: RankConfig, directory: Path, console: Console) -> list[RankingRow]:
    """Score the architectures, or those that ``directory`` lacks, and write the study there.

    Args:
        config: what to do.
        directory: the run directory; exists.
        console: where progress and the table go.

    Returns:
        The rows of ``ranking.csv``.

    Raises:
        InputError: the request cannot be carried out as written.
        RunError: the store or the disk fails.
    """
    keep_imports()
    study, table = config.study, config.table
    numbers = ranking.select_rows(table, study.architectures, study.sample_seed)
    genotypes = [table.architectures[row] for row in numbers]
    data = config.dataset.load(config.dataset_options)
    evaluations: dict[int, list[Evaluation]] = {}
    for seed in study.seeds:
        tasks = ranking_tasks(config, data, seed)
        if not evaluations:
            say(data, console, [*probe_notes(tasks[0].images), *table.notes])
        evaluations[seed] = _scored(config, data, seed, tasks, genotypes, directory, console)
    groups = {name: ranking.group_of(PROXIES.get(name)) for name in study.measured}
    columns = ranking.columns(evaluations, groups, study.combined)
    if config.prior:
        columns += fitted_columns(study.fitted, config.prior, genotypes, columns)
        fitted_on = config.prior.card.get("fitted_on", "unknown")
        console.print(f"the prior was fitted on {fitted_on}", highlight=False, soft_wrap=True)
    accuracies = {name: table.columns[name][numbers] for name in config.columns}
    first = evaluations[study.seeds[0]]
    rows = ranking.ranking_rows(
        columns,
        accuracies,
        np.array([e.params for e in first], dtype=np.float64),
        np.array([e.macs for e in first], dtype=np.float64),
        np.array([not ranking.has_dead_branch(config.space.graphs(g)) for g in genotypes]),
        study.bootstrap,
        {name: noise for name in accuracies if (noise := noise_of(table, name, numbers))},
    )
    write_ranking(rows, columns, accuracies, evaluations, directory)
    print_ranking(rows, len(genotypes), study.seeds, directory, console)
    return rows


def ranking_tasks(config: RankConfig, data: ImageData, seed: int) -> list[ScoringTask]:
    """Return what workers must know to score architectures with one seed; reads probe batches.

    Raises:
        InputError: the data is too small, or the device does not exist.
    """
    device = resolve_device(config.study.device)
    return [
        scoring_task(
            data,
            one.scores,
            one.settings,
            seed,
            space=config.space,
            macro=config.macro,
            device=device,
            precision=config.study.precision,
        )
        for one in measured_together(config.study.measured, config.settings)
    ]


def ranking_facts(config: RankConfig, data: ImageData) -> dict[str, Any]:
    """Return what defines the scores; architectures, seeds and workers may change."""
    study = config.study
    return {
        "search_space": {"name": config.space.name, **config.space_options, **config.macro},
        "scores": {
            name: one.settings.of(PROXIES.get(name)).facts()
            for one in measured_together(study.measured, config.settings)
            for name in one.scores
        },
        "dataset": config.dataset.name,
        "data": fingerprint(data),
        **({"precision": study.precision} if study.precision != "fp32" else {}),
    }


def _scored(
    config: RankConfig,
    data: ImageData,
    seed: int,
    tasks: Sequence[ScoringTask],
    genotypes: Sequence[Hashable],
    directory: Path,
    console: Console,
) -> list[Evaluation]:
    """Return the evaluations of all genotypes with one seed; only those not recorded are made."""
    tasks[0].check_sizes(genotypes[0])
    with Store(directory / f"scores_seed{seed}.sqlite") as store:
        facts = {**ranking_facts(config, data), "seed": seed, "probe_batch": probe_digest(tasks)}
        store.claim(facts, {"versions": versions()})
        evaluations = store.evaluations()[: len(genotypes)]
        ranking.check_recorded(evaluations, genotypes)
        keep_configuration(config.composed, directory)
        if len(evaluations) == len(genotypes):
            return evaluations
        progress = f"seed {seed}: {{}} of {len(genotypes)} architectures are scored"
        console.print(progress.format(len(evaluations)), highlight=False)
        try:
            _score_the_rest(config, tasks, genotypes, evaluations, store, console)
        except KeyboardInterrupt:
            console.print(progress.format(len(evaluations)), highlight=False)
            raise
    return evaluations


def _score_the_rest(
    config: RankConfig,
    tasks: Sequence[ScoringTask],
    genotypes: Sequence[Hashable],
    evaluations: list[Evaluation],
    store: Store,
    console: Console,
) -> None:
    """Append to ``evaluations``, and to ``store`` first, until every genotype has one."""
    workers = start_workers(config.executor, *tasks)
    shown = Objective(config.study.measured[0])
    elapsed, count = store.elapsed(), len(genotypes)
    try:
        with report.Progress(console, shown, count, None, (len(evaluations), ())) as progress:
            while (done := len(evaluations)) < count:
                stop = done - done % LOOKAHEAD + LOOKAHEAD
                for evaluation in workers.evaluate(genotypes, done, stop):
                    elapsed += evaluation.seconds
                    store.append(evaluation, elapsed)
                    evaluations.append(evaluation)
                    progress.advance(evaluation, elapsed)
    finally:
        workers.close()
