"""The report of a search: its files, and what is printed at its end."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from nas_search import report
from nas_search.commands.closing import closing_lines, next_step, why_ended
from nas_search.commands.failures import mostly_failed
from nas_search.commands.front_report import front_facts, write_front
from nas_search.commands.screen import prose, verbatim
from nas_search.commands.search_schema import SearchConfig
from nas_search.core.errors import RunError
from nas_search.core.evaluation import STATUSES, Evaluation
from nas_search.core.files import write_csv, write_json
from nas_search.core.versions import versions
from nas_search.costs import COSTS, bound_keys
from nas_search.pages.found import found, order_certainty, ranked_of
from nas_search.runs.architecture import Architecture
from nas_search.runs.measured import within
from nas_search.runs.run import open_run
from nas_search.scoring import ScoringTask
from nas_search.scoring.constraints import number
from nas_search.search import SearchOutcome
from nas_search.search.fronts import Ranked, ranked_by_fronts
from nas_search.search.guided import TRAINED, Guide
from nas_search.search.standings import Standing, again_of, standings
from nas_search.tables import Table, truth

MEASURED = "measured_latency_ms"
"""Column and key of a measured latency; the predicted one is a cost."""

DRAWINGS = 3
"""Best architectures whose cells are drawn."""


@dataclass(frozen=True)
class SearchResult:
    """A search that has ended.

    Attributes:
        config: what was asked for.
        task: how candidates were scored.
        outcome: every evaluation, and why the search ended.
        duplicates: proposals that were skipped because they had been evaluated.
        facts: what defines the search, see :func:`.run_search.search_facts`.
        proposals: how many genotypes were drawn to stay within the bounds; empty without bounds.
        guide: of a search that trains; None for others.
        measured: measured latencies by genotype, see :func:`.runs.measured.read_measured`; those
            that break a bound are not ranked.
    """

    config: SearchConfig
    task: ScoringTask
    outcome: SearchOutcome
    duplicates: int
    facts: dict[str, Any]
    proposals: dict[str, Any] = field(default_factory=dict)
    guide: Guide | None = None
    measured: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def eligible(self) -> list[Evaluation]:
        """The evaluations; those measured outside a bound on the latency are ``rejected``."""
        return within(self.outcome.evaluations, self.measured, self.config.constraints.bounds)

    @cached_property
    def standings(self) -> list[Standing]:
        """What a search that trains leaves: all that have a score, best first; else empty."""
        if self.guide is None:
            return []
        evaluations, space = self.outcome.evaluations, self.config.space
        everybody = standings(self.guide, evaluations, self.config.proxy.name, space.parse)
        return [one for one in everybody if self.eligible[one.number - 1].status == "ok"]

    @cached_property
    def ranked(self) -> Sequence[tuple[int, Evaluation]]:
        """Numbers and evaluations of all that have the objectives, in the leaderboard's order.

        By the score, or along the fronts; where the search trained, by its last model.
        """
        if self.guide is not None:
            return [(one.number, one.evaluation) for one in self.standings]
        if self.config.several:
            return [(one.number, one.evaluation) for one in self.fronts]
        return report.best_first(self.eligible, self.config.proxy.name)

    @cached_property
    def fronts(self) -> list[Ranked]:
        """The same with several objectives, each with its front."""
        return ranked_by_fronts(self.eligible, self.config.objectives)

    @cached_property
    def truths(self) -> list[dict[str, float | None]]:
        """Columns beside the score: prediction and training, true accuracies (%), latency (ms)."""
        table = self.config.table
        told: list[dict[str, float | None]] = [{} for _ in self.ranked]
        for row, standing in zip(told, self.standings, strict=False):
            row.update(standing.columns())
        for row, (_, one) in zip(told, self.ranked, strict=True):
            if table is not None:
                row.update(truth.accuracies(table, one.genotype))
            if self.measured:
                row[MEASURED] = self._milliseconds(one)
        return told

    def _milliseconds(self, evaluation: Evaluation) -> float | None:
        """Return the measured latency; None of an architecture that was not measured."""
        timing = self.measured.get(evaluation.genotype)
        return None if timing is None else timing["milliseconds"]

    @property
    def trainings(self) -> dict[str, int]:
        """How many trainings ended how; empty where nothing was trained."""
        again = again_of(self.outcome.evaluations) if self.guide is not None else []
        ended = Counter("trained" if e.status == "ok" else "failed" for e in again)
        return dict(ended)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What ``summary.json`` holds."""
        config, outcome, ranked = self.config, self.outcome, self.ranked
        again = {id(e) for e in again_of(outcome.evaluations)} if self.guide is not None else ()
        statuses: Counter[str] = Counter(
            e.status for e in outcome.evaluations if id(e) not in again
        )
        alone = config.table is not None and ranked and not config.several
        regrets = alone and truth.regrets(config.table, ranked[0][1].genotype)  # type: ignore[arg-type]
        return {
            "stop": outcome.stop,
            "best_score": ranked[0][1].scores[config.proxy.name] if ranked else None,
            **({"front": front_facts(self.fronts, config.objectives)} if config.several else {}),
            **({"benchmark": regrets} if regrets else {}),
            "candidates": {status: statuses[status] for status in STATUSES if statuses[status]},
            **({"trainings": self.trainings} if self.guide is not None else {}),
            "duplicates_skipped": self.duplicates,
            **({"proposals": self.proposals} if self.proposals else {}),
            **({"latency_measured": self._kept_and_dropped()} if self.measured else {}),
            "search_seconds": round(outcome.seconds, 3),
            "scoring_seconds": round(sum(e.seconds for e in outcome.evaluations), 3),
            "device": self.task.device,
            **self.facts,
            "versions": versions(),
        }

    def _kept_and_dropped(self) -> dict[str, Any]:
        """Return how many were measured, and the numbers and latencies of those dropped."""
        pairs = enumerate(zip(self.outcome.evaluations, self.eligible, strict=True), 1)
        dropped = {n: self._milliseconds(one) for n, (one, judged) in pairs if one is not judged}
        return {"architectures": len(self.measured), "dropped_ms": dropped}

    def architecture(self, genotype: str) -> Architecture:
        """Return an architecture of the search, in the sizes in which it was scored."""
        return Architecture(
            search_space=self.config.space.name,
            genotype=genotype,
            input_shape=self.task.input_shape,
            num_classes=self.task.num_classes,
            macro=self.config.macro,
            space_options=self.config.space_options,
        )


def write_report(result: SearchResult, directory: Path) -> None:
    """Write the files of a search.

    Raises:
        RunError: the disk refuses.
    """
    try:
        _write_tables(result, directory)
        _write_pictures(result, directory)
        _write_best(result, directory)
    except OSError as error:
        raise RunError(
            f"cannot write the report to {directory} ({error.strerror}); every evaluation is in "
            "run.sqlite: free space or permissions and repeat the command"
        ) from error


def print_report(result: SearchResult, directory: Path, console: Console) -> None:
    """Print the leaderboard, what a table knows of number 1, how the search ended, what is next."""
    config, summary = result.config, result.summary
    if result.ranked and config.several:
        table = report.front_table(result.fronts, config.objectives, config.top, result.truths)
        console.print(table)
    elif result.ranked:
        console.print(
            report.leaderboard_table(result.ranked, config.proxy.name, config.top, result.truths)
        )
    for column, facts in summary.get("benchmark", {}).items():
        prose(console, _truth_line(column, facts))
    counted = [f"{count} {status}" for status, count in summary["candidates"].items()]
    counts = ", ".join(counted) or "no candidate"
    if result.trainings:
        counts += "; trainings: " + ", ".join(f"{n} {how}" for how, n in result.trainings.items())
    why = why_ended(config, result.outcome)
    prose(console, f"{why} after {result.outcome.seconds:.1f} s: {counts}")
    if result.proposals:
        drawn, wasted = result.proposals["drawn"], result.proposals["wasted"]
        prose(
            console,
            f"to stay within the bounds {drawn:,} architectures were drawn, {wasted:.1%} in vain",
        )
    if result.ranked:
        _print_found(result, directory, console)
    ended = result.outcome.stop != "interrupted" and not mostly_failed(result.outcome.evaluations)
    page = " (report.html shows them)" if result.ranked and ended else ""
    verbatim(console, f"results in {directory}{page}")
    following = result.ranked and next_step(config, result.outcome, directory)
    if following:
        says, command = following
        prose(console, says)
        verbatim(console, f"  {command}")


def _print_found(result: SearchResult, directory: Path, console: Console) -> None:
    """Print number 1 and how sure it is, as its report says it."""
    run = open_run(directory)
    ranked = ranked_of(run)
    prose(console, found(run, ranked))
    prose(console, ranked[0][1].genotype, "  ")
    for line in order_certainty(run, ranked):
        prose(console, line)
    lead = result.standings[0] if result.standings else None
    for line in closing_lines(result.config, result.outcome, lead):
        prose(console, line)


def _truth_line(column: str, facts: dict[str, float | None]) -> str:
    if facts["accuracy"] is None:
        return f"{column} of number 1: not in the table"
    return (
        f"{column} of number 1: {facts['accuracy']:.2f} "
        f"(best of the table {facts['best']:.2f}, regret {facts['regret']:.2f})"
    )


def _write_tables(result: SearchResult, directory: Path) -> None:
    config = result.config
    write_json(directory / "summary.json", result.summary)
    told = [*config.proxy.scores, *([TRAINED] if result.guide is not None else [])]
    report.write_history(directory / "history.csv", result.eligible, told)
    leaderboard = directory / "leaderboard.csv"
    if config.several:
        report.write_front_leaderboard(leaderboard, result.fronts, config.objectives, result.truths)
    else:
        report.write_leaderboard(leaderboard, result.ranked, config.proxy.name, result.truths)


def _write_pictures(result: SearchResult, directory: Path) -> None:
    if result.config.several:
        marked = result.config.finalists.k or DRAWINGS
        write_front(result.fronts, result.config.objectives, directory, marked)
    else:
        _write_curves(result, directory)
    space = result.config.space
    for rank, (_, evaluation) in reversed(list(enumerate(result.ranked[:DRAWINGS], 1))):
        for graph in space.graphs(space.parse(evaluation.genotype)):
            report.draw_cell(
                graph,
                directory / f"cell_{rank}_{graph.name}.svg",
                title=f"{graph.name} cell of number {rank}",
            )


def _write_curves(result: SearchResult, directory: Path) -> None:
    config, evaluations = result.config, result.eligible
    score = config.proxy.name
    report.search_curve(
        [
            (n, e.scores.get(score), e.status)
            for n, e in enumerate(evaluations, 1)
            if TRAINED not in e.scores
        ],
        directory / "search.png",
        score_name=score,
        algorithm=config.algorithm.name.replace("_", " "),
        random_phase=getattr(config.algorithm_options, "population", None),
    )
    if config.table:
        _write_truth(config.table, evaluations, score, directory)
    _write_costs(result, directory)


def _write_costs(result: SearchResult, directory: Path) -> None:
    """Draw the scores against the costs that were asked for, if any were."""
    constraints, score = result.task.constraints, result.config.proxy.name
    bounds: dict[str, list[tuple[str, float]]] = {}
    for key, value in constraints.bounds.items():
        bounds.setdefault(bound_keys()[key][0], []).append((f"{key}={number(value)}", value))
    if result.ranked and constraints.names:
        report.cost_scatter(
            [(e.scores[score], e.costs) for _, e in result.ranked],
            {name: COSTS.get(name).unit for name in constraints.names},
            bounds,
            directory / "costs.png",
            score_name=score,
        )


def _write_truth(
    table: Table, evaluations: Sequence[Evaluation], score: str, directory: Path
) -> None:
    """Write how the true accuracy of the best so far came about, as a table and as a curve."""
    incumbents = truth.incumbents(table, evaluations, score)
    write_csv(
        directory / "accuracy.csv",
        ["number", score, *table.reported],
        [[number, value, *accuracies.values()] for number, value, accuracies in incumbents],
    )
    report.truth_curve(
        incumbents,
        len(evaluations),
        {column: table.best(column) for column in table.reported},
        directory / "accuracy.png",
        score_name=score,
    )


def _write_best(result: SearchResult, directory: Path) -> None:
    if not result.ranked:
        return
    number, best = result.ranked[0]
    measured: dict[str, Any] = {"params": best.params, "macs": best.macs, "number": number}
    if best.costs:
        measured |= {"costs": best.costs, "costs_at": result.task.at.as_dict()}
    if best.genotype in result.measured:
        measured[MEASURED] = result.measured[best.genotype]["milliseconds"]
    if result.standings:
        accuracy = result.standings[0].accuracy
        measured[TRAINED] = None if math.isnan(accuracy) else accuracy
    architecture = result.architecture(best.genotype).as_dict()
    write_json(
        directory / "best.json",
        {**architecture, "scores": best.scores, **measured, "versions": versions()},
    )
