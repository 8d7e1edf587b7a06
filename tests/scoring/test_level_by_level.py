"""Stacks that run level by level give each candidate the score that it has alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from nas_search.kernels import depthwise, shifted_products
from nas_search.kernels import grams as of_grams
from nas_search.layers import side_by_side
from nas_search.layers.side_by_side import EdgeLayers
from nas_search.scoring.scorer import Scorer
from tests.scoring.problem import task
from tests.stacks import SPACES, candidates_of

SCORES = ("gradalign", "gradalign_i_layerwise", "gradalign_ii_layerwise", "depth")
law = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)


@pytest.mark.parametrize("space", [pytest.param("darts", marks=pytest.mark.slow), "nasbench201"])
def test_scores_are_those_of_the_candidates_alone(
    space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    own = EdgeLayers.convolutions

    def counted(self: EdgeLayers, xs: Any, *rest: Any, **named: Any) -> Any:
        calls.append(len(xs))
        return own(self, xs, *rest, **named)

    def whole(self: Scorer, stack: list[Any]) -> Any:
        try:
            return together_as_one(self, stack)
        except Exception as error:  # the scorer would score each of them alone
            failures.append(error)
            raise

    failures: list[Exception] = []
    together_as_one = Scorer._together
    monkeypatch.setattr(Scorer, "_together", whole)
    monkeypatch.setattr(EdgeLayers, "convolutions", counted)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:

        @law
        @given(candidates_of(space), st.sampled_from([8, 9]))
        def check(genotypes: list[Any], side: int) -> None:
            problem = task(SPACES[space], proxies=SCORES)
            images = torch.nn.functional.interpolate(problem.images.double(), side)
            problem = replace(problem, images=images)
            together = Scorer(problem, 8).evaluate(genotypes)
            alone = [problem.evaluate(genotype) for genotype in genotypes]
            for seen, expected in zip(together, alone, strict=True):
                assert (seen.status, seen.reason) == (expected.status, expected.reason)
                for name, value in expected.scores.items():
                    assert seen.scores[name] == pytest.approx(value, rel=1e-10, abs=1e-10), name

        check()
    finally:
        torch.set_default_dtype(before)
    assert calls  # they did run so
    assert not failures


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_what_a_gpu_runs_gives_the_same(space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shifted products, cut Gram matrices and the library's depthwise gradients, on a CPU."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        problem = task(SPACES[space], proxies=("gradalign",))
        problem = replace(problem, images=problem.images.double())
        rng = np.random.default_rng(0)
        genotypes = [SPACES[space].sample(rng) for _ in range(6)]
        alone = [problem.evaluate(genotype) for genotype in genotypes]
        products: list[int] = []
        own, worthwhile = shifted_products.weight_gradient, shifted_products.worthwhile

        def counted(*arguments: Any) -> torch.Tensor:
            products.append(1)
            return own(*arguments)

        def elsewhere(x: torch.Tensor, *rest: Any) -> bool:
            return worthwhile(x.to("meta"), *rest)

        monkeypatch.setattr(shifted_products, "weight_gradient", counted)
        monkeypatch.setattr(shifted_products, "worthwhile", elsewhere)
        monkeypatch.setattr(of_grams, "_parts", lambda rows: 2 if rows.shape[-1] % 2 == 0 else 1)
        monkeypatch.setattr(side_by_side, "_at_once", lambda _: True)
        monkeypatch.setattr(depthwise, "worthwhile", lambda *_: False)
        candidates = [problem.candidate(genotype) for genotype in genotypes]
        together = Scorer(problem, 8)._together(candidates)
        for expected, tally in zip(alone, together.values(), strict=True):
            assert tally.scores() == pytest.approx(expected.scores, rel=1e-10)
        assert products  # the stem of darts, and the convolutions of the other space
    finally:
        torch.set_default_dtype(before)


def test_what_needs_modules_runs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that look at modules, at biases, or at other statistics run them one by one."""

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("it ran level by level")

    monkeypatch.setattr(EdgeLayers, "convolutions", refused)
    space = SPACES["nasbench201"]
    full = space.parse(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~2|"
    )
    other = space.parse(
        "|nor_conv_1x1~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|nor_conv_1x1~1|skip_connect~2|"
    )
    for changes in (
        {"proxies": ("fisher", "params_live", "gradsign"), "normalization": "frozen"},
        {"proxies": ("gradalign",), "normalization": "sample"},
        {"proxies": ("gradalign",), "parameters": "all"},
    ):
        evaluations = Scorer(task(space, **changes), 8).evaluate([full, other])
        assert [one.status for one in evaluations] == ["ok", "ok"], changes


def test_convolutions_into_one_node_from_nodes_of_one_level_are_two() -> None:
    """Without an edge between them nodes 1 and 2 run together, and both may lead to node 3."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        problem = task(SPACES["nasbench201"], proxies=("gradalign", "gradalign_i_layerwise"))
        problem = replace(problem, images=problem.images.double())
        names = ("nor_conv_1x1", "nor_conv_3x3")
        genotypes = [
            SPACES["nasbench201"].parse(
                f"|nor_conv_3x3~0|+|{early}~0|none~1|+|skip_connect~0|{first}~1|{second}~2|"
            )
            for early in ("skip_connect", "nor_conv_1x1")
            for first in names
            for second in names
        ]
        together = Scorer(problem, 8).evaluate(genotypes)
        for seen, genotype in zip(together, genotypes, strict=True):
            assert seen.scores == pytest.approx(problem.evaluate(genotype).scores, rel=1e-10)
    finally:
        torch.set_default_dtype(before)
