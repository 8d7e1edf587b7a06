"""The ranking study: scores of many architectures against a table's accuracies."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.text import quote
from nas_search.proxies import ProxyRecord
from nas_search.ranking import correlation
from nas_search.ranking.aggregates import Combine
from nas_search.ranking.equal_size import WITHIN, equal_size_pairs
from nas_search.ranking.noise_ceiling import Noise, noise_ceiling
from nas_search.spaces import CellGraph
from nas_search.tables import Array
from nas_search.tables.table import Table

Group = Literal["single", "aggregate", "fitted"]
"""``single``: one score of one network. ``aggregate``: combines the ranks of several scores, so it
depends on the other architectures. ``fitted``: accuracies of trained networks went into it. Tables
list the groups separately."""

Aggregate = tuple[Combine, Sequence[str]]
"""The function that combines the members, and their names."""

MEAN = "mean"
"""The seed of a row for the mean over seeds."""

FULL, NO_DEAD = "full", "no_dead_branches"

TOP = 10


@dataclass(frozen=True)
class Column:
    """One score of all architectures of a study.

    Attributes:
        name: name of the score.
        group: see :data:`Group`.
        seed: seed of the initial weights and the probe batch, or :data:`MEAN`.
        values: (n,), NaN for architectures without a score.
        seconds: mean time to score an architecture with all scores of the study, which share their
            passes; for the mean over seeds, the sum over them.
    """

    name: str
    group: Group
    seed: str
    values: Array
    seconds: float = math.nan


@dataclass(frozen=True)
class RankingRow:
    """How well one score ranks one set of architectures by one column of accuracies.

    Attributes:
        proxy: name of the score.
        group: see :data:`Group`.
        column: name of the accuracies.
        seed: see :class:`Column`.
        subset: ``full``, or ``no_dead_branches``: cells whose every edge lies on a path from input
            to output.
        n: number of architectures of known accuracy.
        dead: number of those without a score; they are ranked last, tied.
        tau: Kendall's tau-b; ``tau_low`` and ``tau_high`` are its 95 % bootstrap interval.
        rho: Spearman's rho.
        equal_params: share of the pairs of architectures of equal parameters (10 % at most) that
            are ordered rightly, see :mod:`.equal_size`; ``equal_params_low`` and
            ``equal_params_high`` are its 95 % interval, ``equal_params_pairs`` their number.
        ceiling_tau: tau of a perfect predictor of the true mean accuracy, see
            :mod:`.noise_ceiling`; ``ceiling_equal_params`` its share of those pairs; NaN where the
            table has no repeated training. ``ceiling_tau_single`` and
            ``ceiling_equal_params_single``: the same against one training of each architecture.
        ndcg: normalized discounted cumulative gain over all n.
        argmax_accuracy: accuracy (%) of the network of highest score.
        top10_accuracy: mean accuracy (%) of the ten networks of highest score.
        tau_best_tenth: tau-b among the tenth of highest accuracy.
        partial_rho: Spearman's rho given the parameter count.
        partial_rho_size: Spearman's rho given parameters and multiply-accumulates together.
        seed_tau: agreement of the seeds: mean tau-b between the rankings of two seeds; only in rows
            of the mean over seeds, else NaN.
        seconds: see :class:`Column`.
    """

    proxy: str
    group: Group
    column: str
    seed: str
    subset: str
    n: int
    dead: int
    tau: float
    tau_low: float
    tau_high: float
    rho: float
    equal_params: float
    equal_params_low: float
    equal_params_high: float
    equal_params_pairs: int
    ceiling_tau: float
    ceiling_equal_params: float
    ceiling_tau_single: float
    ceiling_equal_params_single: float
    ndcg: float
    argmax_accuracy: float
    top10_accuracy: float
    tau_best_tenth: float
    partial_rho: float
    partial_rho_size: float
    seed_tau: float
    seconds: float


def group_of(record: ProxyRecord) -> Group:
    """Return the group of a single score."""
    return "fitted" if record.fitted else "single"


def select_rows(table: Table, architectures: Any, sample_seed: int) -> list[int]:
    """Return the rows of the table to study.

    Args:
        table: the table.
        architectures: number of rows, ``"all"``, or a list of rows.
        sample_seed: seed of the shuffle whose first rows are taken.

    Raises:
        InputError: ``architectures`` is none of these, or the table has no such rows.
    """
    if architectures == "all":
        return list(range(len(table)))
    if isinstance(architectures, int) and not isinstance(architectures, bool):
        if not 2 <= architectures <= len(table):
            raise InputError(
                f"architectures={architectures} must be between 2 and the {len(table)} of the table"
            )
        shuffled = np.random.default_rng(sample_seed).permutation(len(table))
        return [int(row) for row in shuffled[:architectures]]
    rows = architectures if isinstance(architectures, list) else []
    integers = [row for row in rows if isinstance(row, int) and not isinstance(row, bool)]
    if len(rows) < 2 or len(integers) < len(rows):
        raise InputError(
            f"architectures={architectures!r} must be a number, all, or a list of rows"
        )
    if len(set(rows)) < len(rows) or not all(0 <= row < len(table) for row in rows):
        raise InputError(
            f"architectures: the rows must be different and between 0 and {len(table) - 1}"
        )
    return list(rows)


def check_recorded(recorded: Sequence[Evaluation], genotypes: Sequence[Hashable]) -> None:
    """Check that a record belongs to these architectures.

    Raises:
        InputError: the record has other genotypes, or another order.
    """
    for evaluation, genotype in zip(recorded, genotypes, strict=False):
        if evaluation.genotype != str(genotype):
            raise InputError(
                f"the record holds {quote(evaluation.genotype)} where this study has "
                f"{quote(str(genotype))}: other architectures were chosen there; choose another "
                "hydra.run.dir"
            )


def columns(
    evaluations: Mapping[int, Sequence[Evaluation]],
    groups: Mapping[str, Group],
    aggregates: Mapping[str, Aggregate],
) -> list[Column]:
    """Return all columns to rank: scores by seed and their means, then the aggregates of each.

    The mean over seeds is the mean over those seeds for which an architecture has a score.

    Args:
        evaluations: (n) evaluations of the same architectures by seed.
        groups: the group of each score.
        aggregates: aggregates of these scores by name.
    """
    result: dict[tuple[str, str], Column] = {}
    for name, group in groups.items():
        by_seed = [
            Column(name, group, str(seed), _scores(of_seed, name), _seconds(of_seed))
            for seed, of_seed in evaluations.items()
        ]
        for column in [*by_seed, _mean(by_seed)] if len(by_seed) > 1 else by_seed:
            result[name, column.seed] = column
    seeds = dict.fromkeys(seed for _, seed in result)
    for name, (combine, members) in aggregates.items():
        for seed in seeds:
            parts = [result[member, seed] for member in members]
            values = combine([part.values for part in parts])
            result[name, seed] = Column(name, "aggregate", seed, values, parts[0].seconds)
    return list(result.values())


def ranking_rows(
    score_columns: Sequence[Column],
    accuracies: Mapping[str, Array],
    params: Array,
    macs: Array,
    connected: NDArray[np.bool_],
    draws: int,
    noise: Mapping[str, Noise] | None = None,
) -> list[RankingRow]:
    """Return one row per score, seed, column of accuracies and subset.

    Args:
        score_columns: scores (n,).
        accuracies: (n,) in percent by column, NaN if unknown.
        params: (n,) parameter counts.
        macs: (n,) multiply-accumulates.
        connected: (n,) whether a cell has no dead branch. If no cell has one, only the full set is
            reported.
        draws: number of resamples for the interval.
        noise: of the columns whose architectures were trained repeatedly.
    """
    subsets = {FULL: np.ones(len(params), dtype=bool)}
    if not connected.all():
        subsets[NO_DEAD] = connected
    ceilings = {
        (name, subset): _ceilings(accuracy, inside, params, (noise or {}).get(name))
        for name, accuracy in accuracies.items()
        for subset, inside in subsets.items()
    }
    rows = []
    for column in score_columns:
        seeds = [c.values for c in score_columns if c.name == column.name and c.seed != MEAN]
        for name, accuracy in accuracies.items():
            for subset, inside in subsets.items():
                included = inside & np.isfinite(accuracy)
                rows.append(
                    RankingRow(
                        proxy=column.name,
                        group=column.group,
                        column=name,
                        seed=column.seed,
                        subset=subset,
                        n=int(included.sum()),
                        seconds=column.seconds,
                        seed_tau=correlation.mean_tau([values[included] for values in seeds])
                        if column.seed == MEAN
                        else math.nan,
                        **ceilings[name, subset],
                        **_statistics(
                            column.values[included],
                            accuracy[included],
                            params[included],
                            macs[included],
                            draws,
                        ),
                    )
                )
    return rows


def _statistics(
    values: Array, accuracy: Array, params: Array, macs: Array, draws: int
) -> dict[str, Any]:
    """Return the fields of :class:`RankingRow` from ``dead`` to ``partial_rho_size``."""
    scores = correlation.failures_last(values)
    low, high = correlation.bootstrap_tau(scores, accuracy, draws)
    equal = equal_size_pairs(values, accuracy, params)
    return {
        "dead": int((~np.isfinite(values)).sum()),
        "tau": correlation.kendall_tau(scores, accuracy),
        "tau_low": low,
        "tau_high": high,
        "rho": correlation.spearman_rho(scores, accuracy),
        "equal_params": equal.share,
        "equal_params_low": equal.low,
        "equal_params_high": equal.high,
        "equal_params_pairs": equal.pairs,
        "ndcg": correlation.ndcg(scores, accuracy),
        "argmax_accuracy": correlation.top_mean(scores, accuracy, 1),
        "top10_accuracy": correlation.top_mean(scores, accuracy, TOP),
        "tau_best_tenth": correlation.tau_of_best(scores, accuracy),
        "partial_rho": correlation.partial_spearman(scores, accuracy, params),
        "partial_rho_size": correlation.partial_spearman(scores, accuracy, params, macs),
    }


def _ceilings(
    accuracy: Array, inside: NDArray[np.bool_], params: Array, noise: Noise | None
) -> dict[str, Any]:
    """Return the fields of :class:`RankingRow` from ``ceiling_tau`` on."""
    names = ("tau", "equal_params", "tau_single", "equal_params_single")
    if noise is None:
        return {f"ceiling_{name}": math.nan for name in names}
    known = inside & np.isfinite(accuracy)
    columns = accuracy[known], noise.variance[known], noise.trainings[known], params[known]
    every, equal = (noise_ceiling(*columns, within) for within in (math.inf, WITHIN))
    values = (2 * every.share - 1, equal.share, 2 * every.single - 1, equal.single)
    return {f"ceiling_{name}": value for name, value in zip(names, values, strict=True)}


def has_dead_branch(graphs: Iterable[CellGraph]) -> bool:
    """Whether an edge of a cell lies on no path from an input to the output.

    A cell without edges has no dead branch; 9,445 cells of NAS-Bench-201 have none.
    """
    for graph in graphs:
        fed, needed = set(graph.inputs), {graph.output}
        order = {node: position for position, node in enumerate(graph.nodes)}
        for edge in sorted(graph.edges, key=lambda edge: order[edge.source]):
            if edge.source in fed:
                fed.add(edge.target)
        for edge in sorted(graph.edges, key=lambda edge: -order[edge.target]):
            if edge.target in needed:
                needed.add(edge.source)
        if any(edge.source not in fed or edge.target not in needed for edge in graph.edges):
            return True
    return False


def _scores(evaluations: Sequence[Evaluation], name: str) -> Array:
    return np.array([e.scores.get(name, math.nan) for e in evaluations], dtype=np.float64)


def _seconds(evaluations: Sequence[Evaluation]) -> float:
    return float(np.mean([e.seconds for e in evaluations]))


def _mean(by_seed: Sequence[Column]) -> Column:
    values = np.array([column.values for column in by_seed])
    scored = np.isfinite(values)
    sums = np.where(scored, values, 0).sum(0)
    means = np.where(scored.any(0), sums / np.maximum(scored.sum(0), 1), np.nan)
    first = by_seed[0]
    seconds = sum(column.seconds for column in by_seed)
    return Column(first.name, first.group, MEAN, means, seconds)
