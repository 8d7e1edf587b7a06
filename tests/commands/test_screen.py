"""What a search prints at its beginning and end, at the widths of real terminals."""

from __future__ import annotations

import io
import itertools
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from nas_search.commands.opening import bounds_of, rest_line
from nas_search.commands.screen import prose, screen, verbatim
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective
from nas_search.report import Progress, progress
from nas_search.runs import open_run
from nas_search.search import Budget
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.darts.genotype import PUBLISHED
from tests.commands.test_endings import Call, call
from tests.commands.test_redraw import SMALL

__all__ = ["call"]

SENTENCE = "a sentence of words that is much longer than a line " * 4
PATH = "/a/folder-with/hyphens-and/" + "x" * 150


@pytest.mark.parametrize("width", [80, 120])
def test_prose_wraps_between_words_and_what_is_copied_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    prose(screen(), SENTENCE)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width and " ".join(lines).split() == SENTENCE.split()
    assert all(len(a) + 1 + len(b.split()[0]) > width for a, b in itertools.pairwise(lines))
    prose(screen(), f"it lies in {PATH} and nowhere else")
    assert PATH in capsys.readouterr().out.splitlines()
    verbatim(screen(), SENTENCE)
    assert capsys.readouterr().out == SENTENCE + "\n"


def test_a_genotype_is_wrapped_where_it_has_spaces_and_is_read_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    genotype = PUBLISHED["DARTS_V2"]
    prose(screen(), str(genotype), "  ")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 40 and len(out.splitlines()) > 10
    assert all(line.startswith("  ") for line in out.splitlines())
    assert DartsSpace().parse(out) == genotype
    monkeypatch.delenv("COLUMNS")
    prose(screen(), str(genotype), "  ")
    assert capsys.readouterr().out == f"  {genotype}\n"


def test_a_pipe_gets_a_sentence_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    prose(screen(), SENTENCE)
    assert capsys.readouterr().out == SENTENCE + "\n"


@pytest.mark.parametrize("width", [80, 120])
def test_a_search_says_what_it_does_finds_and_leaves_at_both_widths(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    name = "a folder with spaces and a name that is as long as half of a line of 120 letters"
    code, out, _ = call("nas_search", *SMALL, "redraw=3", f"hydra.run.dir={name}")
    assert code == 0
    run = open_run(tmp_path / name)
    lines = out.splitlines()
    begin = "search: nasbench201 by regularized evolution for the highest gradalign"
    assert lines[0].startswith(begin)
    assert "20 evaluations" in " ".join(lines[:2]) and "ends first" in " ".join(lines[:2])
    assert run.best is not None
    copied = {f"  {run.best.genotype}", f"results in {tmp_path / name} (report.html shows them)"}
    copied.add(f"  python -m nas_search.train {shlex.quote(f'run={name}')} finalists.k=3")
    assert copied <= set(lines)
    assert [line for line in lines if len(line) > width and line not in copied] == []
    assert lines[-2:] == ["next, train the three best:", lines[-1]]
    assert shlex.split(lines[-1])[3] == f"run={name}"
    said = " ".join(out.split())
    (best, *_), scores = (
        json.loads((tmp_path / name / "redraw.json").read_text())["candidates"],
        [e.scores["gradalign"] for e in run.evaluations if e.scores],
    )
    assert best["score"] == max(scores)
    assert f"The best of the search is candidate {best['number']} of {len(scores)} scored" in said
    assert re.search(r"the 3 best keep the order of \d of 3 pairs", said)
    assert "it is no accuracy" in said


def bars(evaluations: int | None, monkeypatch: pytest.MonkeyPatch, seconds: float) -> str:
    """Return what a progress says that is told eight evaluations, ``seconds`` apart.

    The first comes a minute later: its workers start before it.
    """
    clock = [60.0]
    monkeypatch.setattr(progress, "monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), width=200)
    with Progress(console, Objective("s"), evaluations, None) as shown:
        for n in range(8):
            clock[0] += seconds
            shown.advance(Evaluation(str(n), str(n), "ok", {"s": 1.0}), clock[0])
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_how_long_it_takes_is_said_once_as_soon_as_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = bars(106, monkeypatch, 2.0)
    (line,) = [one for one in said.splitlines() if one.startswith("about")]
    # 100 are left, of two seconds each
    assert line == (
        "about 3 min for the other 100 evaluations, if they take as long as the first 6"
    )
    assert "about" not in bars(8, monkeypatch, 2.0)  # six seconds are over before they are read
    assert "about" not in bars(None, monkeypatch, 2.0)  # the minutes of the budget say it


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (Budget(evaluations=1000), "1,000 evaluations"),
        (Budget(evaluations=1, minutes=1), "1 evaluation or 1 minute, whichever ends first"),
        (Budget(minutes=0.5), "0.5 minutes"),
        (Budget(trainings=4, epochs=8), "4 trainings or 8 epochs, whichever ends first"),
    ],
)
def test_a_budget_in_words(budget: Budget, says: str) -> None:
    assert bounds_of(budget) == says


def test_the_rest_of_a_continued_search_is_foretold_by_its_speed() -> None:
    rest: Callable[..., str] = rest_line
    assert rest(Budget(evaluations=100), 40, 20.0) == (
        "; 60 are left, about 30 s at the speed so far"
    )
    assert rest(Budget(evaluations=40), 40, 20.0) == ""
    assert rest(Budget(minutes=3), 40, 20.0) == "" == rest(Budget(evaluations=9), 0, 0.0)
