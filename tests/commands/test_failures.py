"""A search in which most candidates fail says why, and is no success."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from nas_search.commands.failures import failure_remark, mostly_failed
from nas_search.core.evaluation import Evaluation, Status
from nas_search.proxies import PROXIES, Measurement
from nas_search.proxies.base import ProxyRecord
from tests.commands.test_identity import SEARCH, Call, call  # noqa: F401  (a fixture)
from tests.conftest import Register


def evaluations(*statuses: tuple[Status, str]) -> list[Evaluation]:
    return [Evaluation("g", "k", status, reason=reason) for status, reason in statuses]


@pytest.mark.parametrize(
    ("made", "remark", "mostly"),
    [
        ((("ok", ""), ("dead", "no path")), "", False),
        (
            (("ok", ""), ("failed", "a"), ("rejected", "large")),
            "1 of 2 candidates failed; most often (1 times): a",
            False,
        ),
        (
            (("ok", ""), ("failed", "a"), ("failed", "b"), ("failed", "b")),
            "3 of 4 candidates failed; most often (2 times): b",
            True,
        ),
        ((), "", False),
    ],
)
def test_failures_are_counted(
    made: tuple[tuple[Status, str], ...], remark: str, mostly: bool
) -> None:
    assert failure_remark(evaluations(*made)) == remark
    assert mostly_failed(evaluations(*made)) is mostly


NUMBER = itertools.count()


def small(measurement: Measurement) -> float:
    """Fail for three of four networks."""
    if next(NUMBER) % 4:
        raise ValueError("a view of a leaf is modified in place")
    return float(len(measurement.layers))


def test_a_search_whose_candidates_fail_says_why_and_is_no_success(
    call: Call,  # noqa: F811
    register: Register,
    tmp_path: Path,
) -> None:
    register(PROXIES, ProxyRecord("small", small, "frozen", "ours", "this file", "few layers"))
    (tmp_path / "conf" / "proxy").mkdir(parents=True)
    (tmp_path / "conf" / "proxy" / "small.yaml").write_text("defaults: [base]\nname: small\n")
    request = [one for one in SEARCH if one != "proxy=naswot"]
    code, said = call(
        *("search", "--config-dir", "conf", *request, "proxy=small", "dataset.size=8"),
        *("hydra.run.dir=run", "seed=3", "budget.evaluations=12"),
    )
    assert code == 1, said
    assert said.count("\n") == 1
    assert "candidates failed; most often" in said
    assert "ValueError: a view of a leaf is modified in place" in said
    assert (tmp_path / "run" / "history.csv").exists()


def test_a_request_that_is_refused_late_leaves_no_trace(
    call: Call,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    request = [one for one in SEARCH if one != "executor=inline"]
    code, said = call("search", *request, "dataset.size=8", "executor=dask", "hydra.run.dir=a/b")
    assert code == 2
    assert "pip install" in said
    assert list(tmp_path.iterdir()) == []
