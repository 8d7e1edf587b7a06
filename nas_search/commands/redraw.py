"""How sure the order of the best is: their scores under another draw of the initial weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from nas_search.commands.screen import prose
from nas_search.commands.search_report import SearchResult
from nas_search.core.evaluation import Evaluation
from nas_search.report.progress import duration
from nas_search.runs.redraw import FILE, Redrawn, read_redraw, write_redraw
from nas_search.scoring import Executor, ScoringTask

BEST = 5
"""Candidates that are scored again where nothing else is asked for."""

SHARE = 0.05
"""Largest part of the search's own scoring time that may be spent without being asked for."""


def redraw_seed(seed: int) -> int:
    """Return the seed of the other draw of a search with ``seed``."""
    return int(np.random.default_rng([seed, *b"redraw"]).integers(2**31))


def redraw(
    result: SearchResult, tasks: Sequence[ScoringTask], directory: Path, console: Console
) -> None:
    """Score the best of a search again, say so, and keep what comes out in its folder.

    A search with ``redraw`` null does it where that is cheap: the best :data:`BEST` have to have
    taken at most :data:`SHARE` of the time of all. What the folder holds is not measured again.

    Args:
        result: of the search.
        tasks: how its candidates were scored.
        directory: of the run.
        console: where it is said.

    Raises:
        InputError: the folder's file is broken.
        OSError: the disk refuses.
    """
    asked = result.config.redraw
    if asked == 0:
        (directory / FILE).unlink(missing_ok=True)  # of an earlier start
        return
    if not _can(result):
        if asked:
            prose(
                console,
                f"redraw={asked} is left out: it compares the order by one measured score with "
                "that under another draw of the weights, and this search has another order",
            )
        return
    best = [(n, e) for n, e in result.ranked[: asked or BEST]]
    spent, needed = (sum(e.seconds for e in of) for of in (result.outcome.evaluations, _of(best)))
    if len(best) < 2 or (asked is None and needed > SHARE * spent):
        return
    known = {one.number: one for one in read_redraw(directory)}
    missing = [(n, e) for n, e in best if n not in known]
    if missing:
        prose(
            console,
            f"scoring {len(missing)} of the best once more, under another draw of the weights, to "
            f"see how sure their order is: about {duration(sum(e.seconds for e in _of(missing)))} "
            "(redraw=0 leaves it out)",
        )
        known |= {one.number: one for one in _scored(result, tasks, missing)}
        kept = [known[n] for n, _ in best]
        write_redraw(directory, redraw_seed(result.config.seed), kept)


def _can(result: SearchResult) -> bool:
    """Whether the order is that of one measured score."""
    config = result.config
    return bool(config.proxy.measured_scores) and not config.several and result.guide is None


def _of(pairs: Sequence[tuple[int, Evaluation]]) -> list[Evaluation]:
    return [evaluation for _, evaluation in pairs]


def _scored(
    result: SearchResult, tasks: Sequence[ScoringTask], best: Sequence[tuple[int, Evaluation]]
) -> list[Redrawn]:
    config, name = result.config, result.config.proxy.name
    seed = redraw_seed(config.seed)
    others = [dataclasses.replace(task, seed=seed) for task in tasks]
    workers = config.proxy.start(Executor("inline"), others)
    try:
        genotypes = [config.space.parse(e.genotype) for e in _of(best)]
        again = list(workers.evaluate(genotypes, 0, len(genotypes)))
    finally:
        workers.close()
    return [
        Redrawn(n, e.scores[name], one.scores.get(name) if one.status == "ok" else None)
        for (n, e), one in zip(best, again, strict=True)
    ]
