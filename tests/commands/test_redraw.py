"""How sure the order of the best is: another draw of weights, kept and told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from nas_search.commands import redraw
from nas_search.commands.redraw import redraw_seed
from nas_search.commands.samples import BYTES, SHEET
from nas_search.pages.found import order_certainty, ranked_of
from nas_search.runs import open_run
from nas_search.runs.redraw import FILE, Agreement, Redrawn, agreement, read_redraw, write_redraw
from tests.commands.test_endings import Call, call
from tests.commands.test_search import TINY
from tests.pages.material import make_run

__all__ = ["call"]


def test_agreement_counts_pairs_the_first_and_how_far_scores_move() -> None:
    told = [Redrawn(7, 4.0, 1.0), Redrawn(2, 3.0, 2.0), Redrawn(9, 1.0, None), Redrawn(4, 1.0, 0.0)]
    # Pairs of 7, 2 and 4: 7-2 turns around, 7-4 and 2-4 stay.
    assert agreement(told) == Agreement(2, 3, 2, ((9 + 1 + 1) / 3) ** 0.5)
    assert agreement(told[:1]) is None and agreement([told[0], told[2]]) is None


def test_the_report_says_it_while_the_best_are_the_same(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", 20)
    run = open_run(folder)
    ranked = ranked_of(run)
    (_, before) = order_certainty(run, ranked)
    assert "not in this run: repeat its command with redraw=5" in before
    best = [Redrawn(n, e.scores["gradalign"], e.scores["gradalign"] - 1) for n, e in ranked[:3]]
    write_redraw(folder, 5, best)
    (_, same) = order_certainty(run, ranked)
    assert "keep the order of 3 of 3 pairs, and number 1 stays first" in same
    assert "a score moves by 1.00 (root mean square)" in same
    turned = [dataclasses.replace(best[0], again=-99.0), *best[1:]]
    write_redraw(folder, 5, turned)
    (_, other) = order_certainty(run, ranked)
    assert f"of 1 of 3 pairs, and candidate {best[1].number} is first instead of" in other
    write_redraw(folder, 5, best[1:])  # of a search that has found a better one since
    (_, old) = order_certainty(run, ranked)
    assert old == before


SMALL = (*TINY, "search_space=nasbench201", "search_space.cells=1")


def test_the_best_are_scored_again_once(call: Call, tmp_path: Path) -> None:
    small, run = (*SMALL, "hydra.run.dir=run"), tmp_path / "run"
    code, out, _ = call("nas_search", *small)
    assert code == 0 and "scoring 5 of" not in out  # 5 of 20 are no twentieth of the time
    assert not (run / FILE).exists()
    code, out, _ = call("nas_search", *small, "redraw=4")
    assert code == 0 and "scoring 4 of the best once more" in out
    told = read_redraw(run)
    assert [one.number for one in told] == [n for n, _ in ranked_of(open_run(run))[:4]]
    assert all(one.again is not None and one.again != one.score for one in told)
    kept = (run / FILE).read_bytes()
    assert json.loads(kept)["seed"] == redraw_seed(0)
    code, out, _ = call("nas_search", *small, "redraw=4")
    assert code == 0 and "scoring" not in out and "keep the order of" in out
    assert (run / FILE).read_bytes() == kept
    assert 0 < (run / SHEET).stat().st_size <= BYTES
    assert 'id="data-set"' in (run / "report.html").read_text()
    code, out, _ = call("nas_search", *small, "redraw=0")
    assert code == 0 and "keep the order of" not in out
    assert not (run / FILE).exists()


def test_only_the_draw_is_another(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redraw, "redraw_seed", lambda seed: seed)
    code, _, _ = call("nas_search", *SMALL, "redraw=3", "samples=0", "hydra.run.dir=run")
    assert code == 0
    told = read_redraw(tmp_path / "run")
    assert len(told) == 3 and all(one.again == one.score for one in told)
    assert not (tmp_path / "run" / SHEET).exists()


def test_a_search_of_a_hundred_does_it_by_itself(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redraw, "SHARE", 1.0)
    code, out, _ = call("nas_search", *SMALL)
    assert code == 0 and "scoring 5 of the best once more" in out
    code, out, _ = call("nas_search", *SMALL, "redraw=0")
    assert code == 0 and "once more" not in out.replace("scores the five best once more", "")


@pytest.mark.parametrize("words", [("redraw=1",), ("redraw=-1",), ("samples=-1",)])
def test_impossible_values_are_refused(call: Call, words: tuple[str, ...]) -> None:
    code, _, err = call("nas_search", *TINY, *words)
    assert code == 2 and words[0] in err and len(err.splitlines()) == 1


def test_another_order_than_that_of_a_score_is_said_not_to_be_compared(call: Call) -> None:
    several = ("algorithm=random", "objectives=[gradalign,params]", "redraw=3", "samples=0")
    code, out, _ = call("nas_search", *(one for one in SMALL if "algorithm" not in one), *several)
    assert code == 0 and "redraw=3 is left out" in out and "scoring" not in out
