"""``python -m nas_search.rank``: how well scores rank the architectures of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import NoReturn, cast

import hydra
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from nas_search import report
from nas_search.commands.command import CONF, Command
from nas_search.commands.rank_schema import RankConfig, facts, read_rank_config
from nas_search.commands.search import versions
from nas_search.core.device import Precision, resolve_device
from nas_search.core.errors import RunError
from nas_search.core.evaluation import Evaluation
from nas_search.core.files import write_csv
from nas_search.data import probe_batch
from nas_search.proxies import PROXIES
from nas_search.ranking import ranking
from nas_search.ranking.ranking import Column, Row
from nas_search.runs.store import Store
from nas_search.scoring import ScoringTask, start_workers

LOOKAHEAD = 256
"""Architectures handed to the workers at once."""

_COMMAND = Command("nas_search.rank")


def run_ranking(config: RankConfig, directory: Path, console: Console) -> list[Row]:
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
    study, table = config.study, config.table
    chosen = ranking.chosen_rows(table, study.architectures, study.sample_seed)
    genotypes = [table.architectures[row] for row in chosen]
    evaluations = {
        seed: _scored(config, seed, genotypes, directory, console) for seed in study.seeds
    }
    groups = {name: PROXIES.get(name).group for name in study.measured}
    found = ranking.columns(evaluations, groups, study.combined)
    accuracies = {name: table.columns[name][chosen] for name in config.columns}
    first = evaluations[study.seeds[0]]
    rows = ranking.table_of_rows(
        found,
        accuracies,
        np.array([e.params for e in first], dtype=np.float64),
        np.array([e.macs for e in first], dtype=np.float64),
        np.array([not ranking.has_dead_branch(config.space.graphs(g)) for g in genotypes]),
        study.bootstrap,
    )
    _write(rows, found, accuracies, evaluations, directory)
    # Whole lines, also where the output is a file or a narrow terminal.
    console.width = max(console.width, report.TABLE_WIDTH)
    for part in report.ranking_tables(rows):
        console.print(part)
        console.print()
    console.print(
        f"{len(genotypes)} architectures, seeds {', '.join(map(str, study.seeds))}; "
        f"results in {directory}",
        highlight=False,
        soft_wrap=True,
    )
    return rows


def _scored(
    config: RankConfig,
    seed: int,
    genotypes: Sequence[Hashable],
    directory: Path,
    console: Console,
) -> list[Evaluation]:
    """Return the evaluations of all genotypes in one seed; what is recorded is not made again."""
    task = _task(config, seed)
    task.check_sizes(genotypes[0])
    with Store(directory / f"scores_seed{seed}.sqlite") as store:
        store.claim({**facts(config), "seed": seed}, {"versions": versions()})
        evaluations = store.evaluations()[: len(genotypes)]
        ranking.check_recorded(evaluations, genotypes)
        if len(evaluations) == len(genotypes):
            return evaluations
        console.print(
            f"seed {seed}: {len(evaluations)} of {len(genotypes)} architectures are scored",
            highlight=False,
        )
        workers = start_workers(config.executor, task)
        score, elapsed = config.study.measured[0], store.elapsed()
        try:
            with report.Progress(
                console, score, len(genotypes), None, (len(evaluations), -np.inf)
            ) as progress:
                while (done := len(evaluations)) < len(genotypes):
                    stop = done - done % LOOKAHEAD + LOOKAHEAD
                    for evaluation in workers.evaluate(genotypes, done, stop):
                        elapsed += evaluation.seconds
                        store.append(evaluation, elapsed)
                        evaluations.append(evaluation)
                        progress.advance(evaluation, elapsed)
        except KeyboardInterrupt:
            console.print(
                f"seed {seed}: {len(evaluations)} of {len(genotypes)} architectures are scored; "
                "the same command continues",
                highlight=False,
            )
            raise
        finally:
            workers.close()
    return evaluations


def _task(config: RankConfig, seed: int) -> ScoringTask:
    study = config.study
    data = config.dataset.load(config.dataset_options)
    images, labels = probe_batch(data, study.batch_size, study.classes, seed)
    return ScoringTask(
        space=config.space,
        macro=config.macro,
        images=images,
        labels=labels,
        num_classes=data.num_classes,
        proxies=study.measured,
        normalization=study.statistics,
        parameters="all" if study.parameters == "all" else "weights",
        seed=seed,
        init=study.scheme,
        device=resolve_device(study.device),
        precision=cast(Precision, study.precision),
    )


def _write(
    rows: Sequence[Row],
    found: Sequence[Column],
    accuracies: dict[str, np.ndarray],
    evaluations: dict[int, list[Evaluation]],
    directory: Path,
) -> None:
    """Write the study's files.

    Raises:
        RunError: the disk refuses.
    """
    fields = [field.name for field in dataclasses.fields(Row)]
    names = list(dict.fromkeys(column.name for column in found if column.group != "aggregate"))
    try:
        write_csv(
            directory / "ranking.csv", fields, [list(dataclasses.astuple(row)) for row in rows]
        )
        write_csv(
            directory / "scores.csv",
            [
                *("seed", "genotype", "status", *names),
                *(*accuracies, "seconds", "reason"),
            ],
            [
                [
                    *(seed, e.genotype, e.status),
                    *(e.scores.get(name) for name in names),
                    *(float(values[place]) for values in accuracies.values()),
                    *(f"{e.seconds:.4f}", e.reason),
                ]
                for seed, made in evaluations.items()
                for place, e in enumerate(made)
            ],
        )
        for column in {column.name: column for column in found}.values():  # the mean comes last
            report.score_scatter(
                column.name, column.values, accuracies, directory / f"scatter_{column.name}.png"
            )
        report.score_heatmap(rows, directory / "heatmap.png")
    except OSError as error:
        raise RunError(
            f"cannot write the report to {directory} ({error.strerror}); every score is in its "
            "stores: free space or permissions and repeat the command"
        ) from error


@hydra.main(config_path=CONF, config_name="rank", version_base="1.3")
def _rank(config: DictConfig) -> None:
    with _COMMAND.job():
        directory = Path(HydraConfig.get().runtime.output_dir)
        run_ranking(read_rank_config(config), directory, Console())


def _list_of_scores() -> str:
    """Return the registered scores, a line each, for the help."""
    return "\n".join(f"  {record.name:22}  {record.summary}" for record in PROXIES)


def main() -> NoReturn:
    """Run the command; exit code 0, 2 (bad input) or 1 (failure)."""
    OmegaConf.register_new_resolver("nas_search_scores", _list_of_scores, replace=True)
    _COMMAND.main(_rank)


if __name__ == "__main__":
    main()
