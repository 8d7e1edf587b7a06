"""What a search found, in a sentence, and how sure that is."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from nas_search.core.evaluation import Evaluation
from nas_search.pages.page import number
from nas_search.report.files import best_first
from nas_search.report.table import human
from nas_search.runs.redraw import Agreement, Redrawn, agreement, read_redraw
from nas_search.runs.run import Run
from nas_search.search.fronts import ranked_by_fronts

Ranked = Sequence[tuple[int, Evaluation]]
"""Numbers from 1 and evaluations, best first."""


def ranked_of(run: Run) -> Ranked:
    """Return all that have what was searched for, in the order of the run's leaderboard.

    Of a search that has ended the leaderboard itself counts: measured latencies may have dropped
    some. While it runs, the score or the fronts.
    """
    listed = _leaderboard(run)
    if listed:
        return listed
    if len(run.objectives) > 1:
        fronts = ranked_by_fronts(run.evaluations, run.objectives)
        return [(one.number, one.evaluation) for one in fronts]
    ranking = run.config.get("ranking")
    if ranking:  # a search that trains: what its last model expected most of
        return [(one, run.evaluations[one - 1]) for one in ranking]
    return best_first(run.evaluations, run.score)


def _leaderboard(run: Run) -> Ranked:
    """Return what ``leaderboard.csv`` lists; nothing if it is not there, or not of this search."""
    if run.summary is None:
        return []
    try:
        with (run.directory / "leaderboard.csv").open(encoding="utf-8", newline="") as text:
            rows = [(int(row["number"]), row["genotype"]) for row in csv.DictReader(text)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return []
    known = dict(enumerate(run.evaluations, 1))
    listed = [(n, known[n]) for n, genotype in rows if n in known and known[n].genotype == genotype]
    return listed if len(listed) == len(rows) else []


def found(run: Run, ranked: Ranked) -> str:
    """Return one sentence."""
    if not ranked:
        return f"Nothing has a score yet: {len(run.evaluations):,} candidates were looked at."
    first, best = ranked[0]
    values = ", ".join(_value(best, one.name, one.value(best)) for one in run.objectives)
    count = f"{len(ranked):,} scored candidate{'s' * (len(ranked) != 1)}"
    size = "" if best.params is None else f", {human(best.params)} parameters as scored"
    how = "so far" if run.summary is None else "of the search"
    trained = _winner(run.finalists)
    return f"The best {how} is candidate {first} of {count}: {values}{size}.{trained}"


def certainty(run: Run, ranked: Ranked) -> Iterator[str]:
    """Yield how sure all of it is: what the run itself can tell, and what it cannot."""
    yield from order_certainty(run, ranked)
    yield from _truths(run)
    if run.finalists:
        yield from _agreement(run.finalists)
    else:
        yield (
            "A score orders the untrained candidates of one search; it is no accuracy. Only "
            "training tells how good they are, and nothing of this search was trained yet."
        )


def order_certainty(run: Run, ranked: Ranked) -> Iterator[str]:
    """Yield how sure the order of the best is: by their scores, and by another draw of weights."""
    if len(run.objectives) > 1:
        front = sum(one.front == 1 for one in ranked_by_fronts(run.evaluations, run.objectives))
        yield (
            f"With several objectives there is no single best: {front:,} architectures stand on "
            "the front, where none is better in everything. Number 1 dominates the most by itself."
        )
    elif len(ranked) > 2 and not run.config.get("ranking"):
        yield _gap(run, ranked)
    yield from _draws(run, ranked)


def _value(evaluation: Evaluation, name: str, value: float) -> str:
    return f"{name} {number(value, 5)}"


def _winner(finalists: Sequence[dict[str, str]]) -> str:
    if not finalists or not finalists[0].get("validation_accuracy"):
        return ""
    best = finalists[0]
    test = f", {float(best['test_accuracy']):.2f} % on the test set" * bool(best["test_accuracy"])
    return (
        f" Of the {len(finalists)} that were trained, {best['key']} is first with "
        f"{float(best['validation_accuracy']):.2f} % validation accuracy{test}."
    )


def _gap(run: Run, ranked: Ranked) -> str:
    scores = [evaluation.scores[run.score] for _, evaluation in ranked]
    spread = statistics.stdev(scores)
    gap = scores[0] - scores[1]
    if not spread:
        return "All candidates have the same score: number 1 is only the first of them."
    share = gap / spread
    words = "level with it" if share < 0.05 else "close behind" if share < 0.5 else "clearly behind"
    near = sum(score > scores[0] - 0.1 * spread for score in scores) - 1
    return (
        f"The next is {words}: {number(gap, 3)} less, which is {share:.2f} standard deviations of "
        f"all {len(scores):,} scores. {_others(near)} within a tenth of a "
        "standard deviation of number 1."
    )


def _others(count: int) -> str:
    return "No other is" if not count else "One other is" if count == 1 else f"{count:,} others are"


def _draws(run: Run, ranked: Ranked) -> Iterator[str]:
    redrawn = read_redraw(run.directory)
    found = agreement(redrawn)
    if found is not None and [one.number for one in redrawn] == [
        n for n, _ in ranked[: len(redrawn)]
    ]:
        yield _redrawn(redrawn, found)
        return
    proxy: dict[str, Any] = run.config["proxy"]
    repeats = proxy.get("repeats")
    if isinstance(repeats, int):
        draws = "one draw" if repeats == 1 else f"the mean over {repeats} draws"
        one_order = len(run.objectives) == 1 and not run.config.get("ranking")
        how = (
            "repeat its command with redraw=5, which scores the five best once more"
            if one_order
            else "let python -m nas_search.rank tell by two seeds"
        )
        yield (
            f"A score is {draws} of the initial weights. How another draw would order the same "
            f"candidates is not in this run: {how}."
        )


def _redrawn(redrawn: Sequence[Redrawn], found: Agreement) -> str:
    first, second = redrawn[0], redrawn[1]
    lost = sum(one.again is None for one in redrawn)
    gap = first.score - second.score
    top = (
        "number 1 stays first"
        if found.first == first.number
        else f"candidate {found.first} is first instead of candidate {first.number}"
    )
    moves = (
        f"from draw to draw a score moves by {number(found.moves, 3)} (root mean square), the gap "
        f"between the first two is {number(gap, 3)}"
        if found.moves
        else "this score does not depend on the draw"
    )
    without = f", {lost} of them got no score under it" if lost else ""
    return (
        f"Under another draw of the initial weights the {len(redrawn)} best keep the order of "
        f"{found.kept} of {found.pairs} pairs{without}, and {top}; {moves}."
    )


def _truths(run: Run) -> Iterator[str]:
    """Yield what a table of trained architectures knows of number 1, where the search had one."""
    for column, facts in ((run.summary or {}).get("benchmark") or {}).items():
        if facts["accuracy"] is None:
            yield f"{column} of number 1 is not in the table."
        else:
            yield (
                f"{column} of number 1 is {facts['accuracy']:.2f} % in the table, whose best has "
                f"{facts['best']:.2f} %: a regret of {facts['regret']:.2f} points."
            )


def _agreement(finalists: Sequence[dict[str, str]]) -> Iterator[str]:
    both = [
        (float(one["score"]), float(one["validation_accuracy"]))
        for one in finalists
        if one.get("score") and one.get("validation_accuracy")
    ]
    pairs = [(a, b) for i, a in enumerate(both) for b in both[i + 1 :]]
    decided = [(a[0] - b[0]) * (a[1] - b[1]) for a, b in pairs]
    right, wrong = sum(one > 0 for one in decided), sum(one < 0 for one in decided)
    if right + wrong:
        yield (
            f"Training and score agree on {right} of {right + wrong} "
            f"pair{'s' * (right + wrong != 1)} of the trained networks."
        )
