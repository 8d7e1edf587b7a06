"""Stacks: a candidate gets the score of its network built alone, whatever the others do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from benchmarks.stacks import calls as count_calls
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.gradients import NORMALIZATIONS
from nas_search.passes import PASSES, Facts, Subject, pass_of
from nas_search.passes.activations import CodeAgreement, PatternCount
from nas_search.passes.per_sample import Grams
from nas_search.proxies import PROXIES, Measurement, ProxyRecord
from nas_search.scoring import Constraints, Executor, ScoringTask, start_workers
from nas_search.scoring.networks import MAX_CACHED_POOLS, StackedNetworks
from nas_search.scoring.pool import ModulePool
from nas_search.scoring.scorer import Scorer, can_stack, stacks
from nas_search.search import ALGORITHMS
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.darts.genotype import Genotype
from nas_search.spaces.nasbench101 import Nasbench101Space
from nas_search.spaces.nasbench201 import Nasbench201Genotype, Nasbench201Space
from nas_search.stacked.network import StackedNetwork
from tests.scoring.problem import DeadlySpace, task
from tests.stacks import CELLS, DEAD, SPACES, candidates_of

FULL = CELLS.parse(
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)
SCORES = tuple(PROXIES.names())

MODES: dict[str, tuple[Any, ...]] = {
    "darts": (None, *NORMALIZATIONS),
    # With per-sample statistics of 2 x 2 maps, some gradients are little more than rounding.
    "nasbench101": ("frozen", "batch", "eval"),
    "nasbench201": (None, *NORMALIZATIONS),
}

LOOSER = {
    # The sign of a gradient that is zero but for rounding is noise: some in a thousand.
    "gradsign": 1e-2,
    "gradsign_mean": 1e-2,
    # The number of tensors, and the entropy of eigenvalues some of which are zero but for rounding.
    "vkdnw": 1e-5,
    # Logarithms of a mean over a deviation: of rounding, where two batches have equal gradients.
    "zico": 1e-2,
}
"""Relative difference of scores that count what is nothing but rounding."""

LOOSER_IN_SINGLE = {
    # Sums of signed terms, which batch-norm makes zero but for little.
    "plain": 1e-3,
    "grasp": 1e-3,
    # Of second derivatives.
    "dextr": 1e-3,
    **LOOSER,
}
"""The same in single precision, which has few digits for scores that cancel."""

# Without shrinking: each step of it would score whole stacks, for minutes.
law = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)

# What double precision says first: here only the bounds of rounding are new.
fewer = settings(law, max_examples=6)


@contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Let networks be built and drawn in ``dtype``."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def in_precision(problem: ScoringTask, dtype: torch.dtype) -> ScoringTask:
    return replace(problem, images=problem.images.to(dtype))


def check(
    problem: ScoringTask, genotypes: list[Any], most: int, rel: float, absolute: float
) -> set[str]:
    """Compare a stack with its candidates alone; return what became of them.

    Where single precision itself is further off than ``rel``, it may be that far off, ten times.
    """
    together = Scorer(problem, most).evaluate(genotypes)
    assert [e.genotype for e in together] == [str(g) for g in genotypes]
    single = problem.images.dtype == torch.float32
    looser = LOOSER_IN_SINGLE if single else LOOSER
    by_itself = {genotype: problem.evaluate(genotype) for genotype in dict.fromkeys(genotypes)}
    for genotype, seen in zip(genotypes, together, strict=True):
        alone = by_itself[genotype]
        for key in ("key", "status", "reason", "params", "macs"):
            assert getattr(seen, key) == getattr(alone, key), str(genotype)
        assert seen.scores.keys() == alone.scores.keys()
        exact = alone.scores
        if single and any(not close(seen, alone, name, rel, absolute) for name in alone.scores):
            with precision(torch.float64):
                exact = in_precision(problem, torch.float64).evaluate(genotype).scores
        for name, value in alone.scores.items():
            rounding = 10 * abs(reading(name, value) - reading(name, exact.get(name, math.inf)))
            assert close(
                seen, alone, name, max(rel, looser.get(name, 0)), max(absolute, rounding)
            ), (name, seen.scores[name], value, exact, str(genotype))
    return {e.status for e in together}


def close(seen: Evaluation, alone: Evaluation, name: str, rel: float, absolute: float) -> bool:
    expected = reading(name, alone.scores[name])
    return reading(name, seen.scores[name]) == pytest.approx(expected, rel=rel, abs=absolute)


def reading(name: str, value: float) -> float:
    """Return what was computed: a condition number is one over the smallest eigenvalue's share."""
    return 1 / value if name == "ntk_cond" else value


def test_every_pass_is_compared() -> None:
    kinds = {kind for name in SCORES for kind in PROXIES.get(name).needs}
    assert kinds == {kind for one in PASSES for kind in one.provides}


@pytest.mark.parametrize(
    "space",
    [
        name if name == "nasbench201" else pytest.param(name, marks=pytest.mark.slow)
        for name in SPACES
    ],
)
@law
@given(st.data())
def test_scores_are_those_of_the_network_alone_in_double_precision(
    space: str, data: st.DataObject
) -> None:
    mode = data.draw(st.sampled_from(MODES[space]))
    parameters = data.draw(st.sampled_from(["weights", "all"]))
    genotypes = data.draw(candidates_of(space))
    most = data.draw(st.integers(1, 6))
    problem = task(SPACES[space], proxies=SCORES, normalization=mode, parameters=parameters)
    with precision(torch.float64):
        check(in_precision(problem, torch.float64), genotypes, most, 1e-10, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
@fewer
@given(st.data())
def test_scores_are_those_of_the_network_alone_in_single_precision(
    space: str, data: st.DataObject
) -> None:
    genotypes = data.draw(candidates_of(space))
    problem = task(SPACES[space], proxies=SCORES, normalization=MODES[space][0])
    check(problem, genotypes, len(genotypes), 1e-5, 1e-7)  # absolute: of a mean of cosines


@pytest.mark.parametrize("space", SPACES)
@law
@given(st.data())
def test_activation_codes_are_those_of_the_network_alone(space: str, data: st.DataObject) -> None:
    found: dict[str, list[Any]] = {"kernels": [], "patterns": []}

    def keep(measurement: Measurement) -> float:
        codes = measurement[CodeAgreement]
        assert codes.kernel.diagonal().tolist() == [codes.units] * len(codes.kernel)
        found["kernels"].append(codes.kernel)
        found["patterns"].append(measurement[PatternCount].distinct)
        return 1.0

    needs = (CodeAgreement, PatternCount)
    record = ProxyRecord("trial", keep, "batch", "ours", "-", "-", needs)
    genotypes = list(dict.fromkeys(data.draw(candidates_of(space))))
    with PROXIES.temporarily(record), precision(torch.float64):
        problem = in_precision(task(SPACES[space], proxies=("trial",)), torch.float64)
        # By skeleton, as they are scored: what is kept comes in the order in which it is scored.
        genotypes.sort(key=lambda genotype: str(SPACES[space].skeleton(genotype)))
        together = Scorer(problem, 6).evaluate(genotypes)
        here = {key: found.pop(key) for key in list(found)}
        found |= {"kernels": [], "patterns": []}
        alone = [problem.evaluate(genotype) for genotype in genotypes]
    assert timeless(together) == timeless(alone)
    assert here["patterns"] == found["patterns"]
    assert len(here["kernels"]) == sum(e.status == "ok" for e in alone)
    assert all(map(torch.equal, here["kernels"], found["kernels"]))


def test_what_leads_nowhere_counts_where_the_definition_says_so() -> None:
    # Node 1 leads on to node 2 only, and node 2 nowhere: three ReLUs of this cell are run in vain.
    vain = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_1x1~0|none~1|none~2|"
    plain = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"
    # n = 16 random images: more units, more patterns.
    images = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    problem = task(proxies=("naswot", "swap", "params_live"), images=images)
    problem = replace(problem, labels=torch.arange(16) % 3)
    cells = [CELLS.parse(text) for text in (vain, plain, str(FULL))]
    first, second, _ = Scorer(problem, 3).evaluate(cells)
    assert first.scores["naswot"] == second.scores["naswot"]
    assert first.params is not None
    assert first.scores["params_live"] == second.scores["params_live"] < first.params
    assert first.scores["swap"] > second.scores["swap"]


@pytest.mark.parametrize("space", SPACES)
def test_scores_are_averaged_over_the_same_draws(space: str) -> None:
    rng = np.random.default_rng(0)
    genotypes = [SPACES[space].sample(rng) for _ in range(3)]
    names = ("gradalign", "gradalign_ii")
    problem = task(
        SPACES[space],
        proxies=names,
        repeats=MAX_CACHED_POOLS + 1,
        normalization=MODES[space][0],
    )
    check(problem, genotypes, 3, 1e-5, 0)


def test_what_one_candidate_overflows_reaches_no_other() -> None:
    problem = task(normalization="frozen")
    rng = np.random.default_rng(3)
    sound = [g for g in (CELLS.sample(rng) for _ in range(20)) if g.operations[3] != "nor_conv_3x3"]
    poisoned = Nasbench201Genotype((*FULL.operations[:3], "nor_conv_3x3", "none", "none"))
    expected = Scorer(problem, 20).evaluate([poisoned, *sound])
    build = StackedNetworks(problem)
    network = build([poisoned], 0, "default")("pruned")
    weight = network.get_parameter("cells.0.node3_from0_nor_conv_3x3.1.weight")
    weight.data.fill_(float("nan"))
    first, *others = Scorer(problem, 20, build).evaluate([poisoned, *sound])
    assert first.status == "dead"
    assert first.reason == "gradalign, gradalign_ii: logits or gradients are not finite"
    assert len(sound) > 10
    assert timeless(others) == timeless(expected[1:])
    assert {"ok"} == {e.status for e in others}


@contextmanager
def sizes_of_passes(fail: Callable[[int], None] = lambda size: None) -> Iterator[list[int]]:
    """Note the size of each stack whose per-sample gradients are taken; let some of them fail."""
    sizes: list[int] = []
    one = pass_of(Grams)

    def run(subject: Subject, wanted: frozenset[type]) -> Any:
        assert isinstance(subject.network, StackedNetwork)
        sizes.append(len(subject.network.candidates))
        fail(sizes[-1])
        return one.run(subject, wanted)

    with PASSES.temporarily(replace(one, run=run)):
        yield sizes


def random_cells(count: int) -> list[Any]:
    """Return different cells that have a score with per-sample statistics too."""
    rng = np.random.default_rng(0)
    found = {CELLS.sample(rng): None for _ in range(10 * count)}
    alive = (g for g in found if task(proxies=("gradalign_i",)).evaluate(g).status == "ok")
    return list(islice(alive, count))


def timeless(evaluations: list[Evaluation]) -> list[Any]:
    return [(e.genotype, e.status, e.scores, e.reason) for e in evaluations]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 bytes"),
        MemoryError(),
    ],
    ids=["gpu", "cpu", "python"],
)
def test_out_of_memory_halves_the_stack(error: Exception) -> None:
    problem, genotypes = task(proxies=("gradalign",)), random_cells(9)

    def fail(size: int) -> None:
        if size > 2:
            raise error

    expected = [problem.evaluate(genotype).scores for genotype in genotypes]
    with sizes_of_passes(fail) as sizes:
        scorer = Scorer(problem, 9)
        evaluations = scorer.evaluate(genotypes)
        assert sizes == [9, 4, 2, 2, 2, 2, 1]
        for evaluation, scores in zip(evaluations, expected, strict=True):
            assert evaluation.scores == pytest.approx(scores, rel=1e-5)
        scorer.evaluate(genotypes[:4])
        assert sizes[7:] == [2, 2]  # it does not try again what did not fit


def test_a_candidate_that_fits_no_memory_has_failed() -> None:
    def fail(size: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with sizes_of_passes(fail):
        (evaluation,) = Scorer(task(proxies=("gradalign",)), 4).evaluate([FULL])
    assert (evaluation.status, evaluation.scores) == ("failed", {})
    assert evaluation.reason == "OutOfMemoryError: CUDA out of memory"


def test_an_error_in_a_stack_is_the_failure_of_one() -> None:
    genotypes = random_cells(4)
    odd = next(i for i, g in enumerate(genotypes) if g != FULL)
    broken = genotypes[odd]

    class Broken(Nasbench201Space):
        def build_stacked(self, genotypes: Any, *arguments: Any, **macro: Any) -> Any:
            if broken in genotypes:
                raise ZeroDivisionError("no")
            return super().build_stacked(genotypes, *arguments, **macro)

    found = Scorer(task(Broken(), proxies=("gradalign",)), 4).evaluate(genotypes)
    for number, evaluation in enumerate(found):
        expected = ("failed", "ZeroDivisionError: no") if number == odd else ("ok", "")
        assert (evaluation.status, evaluation.reason) == expected


def test_a_score_that_fails_on_one_candidate_fails_for_it_alone() -> None:
    genotypes = random_cells(3)
    keys = [CELLS.canonical(genotype) for genotype in genotypes]

    def fussy(measurement: Measurement) -> float:
        key = measurement[Facts].key
        if key == keys[1]:
            raise ZeroDivisionError
        return float("nan") if key == keys[2] else 1.0

    record = ProxyRecord("trial", fussy, "sample", "ours", "-", "-", (Grams, Facts))
    with PROXIES.temporarily(record), sizes_of_passes() as sizes:
        found = Scorer(task(proxies=("trial",)), 3).evaluate(genotypes)
    assert [(e.status, e.reason) for e in found] == [
        ("ok", ""),
        ("failed", "ZeroDivisionError: no message"),
        ("failed", "the score is nan"),
    ]
    assert sizes == [3]


def test_rejected_and_repeated_candidates_cost_no_pass() -> None:
    genotypes = random_cells(4)
    sizes = [task().cost(genotype).params for genotype in genotypes]
    bounds = Constraints({"max_params": sorted(sizes)[-2]})
    problem = task(proxies=("gradalign",), constraints=bounds)
    with sizes_of_passes() as passes:
        found = Scorer(problem, 10).evaluate([*genotypes, *genotypes])
    assert passes == [3]
    assert [e.status for e in found].count("rejected") == 2
    assert timeless(found[:4]) == timeless(found[4:])


def test_a_search_by_stacks_scores_no_network_twice_and_none_that_is_ruled_out() -> None:
    measured: list[str] = []

    class Watched(Nasbench201Space):
        def build_stacked(self, genotypes: Any, *arguments: Any, **macro: Any) -> Any:
            measured.extend(map(self.canonical, genotypes))
            return super().build_stacked(genotypes, *arguments, **macro)

    space = Watched()
    sizes = sorted(task().cost(genotype).params for genotype in random_cells(9))
    bounds = Constraints({"max_params": sizes[6]})
    problem = task(space, proxies=("gradalign_i_layerwise",), constraints=bounds)
    workers = start_workers(Executor("inline", stack=4), problem)
    record = ALGORITHMS.get("regularized_evolution")
    options = record.options(population=8, tournament=3)
    (fitness,) = problem.proxies
    search = record.algorithm(space, np.random.default_rng(0), fitness, options)
    found = []
    for _ in range(12):
        asked = search.ask(8)
        told = list(workers.evaluate(asked))
        search.tell(told)
        found += told
    # Some networks came up again, and some candidates were too large.
    assert search.duplicates > 0
    rejected = {e.key for e in found if e.status == "rejected"}
    assert rejected
    assert len(measured) == len(set(measured)) == len(found) - len(rejected)
    assert not rejected & set(measured)


def test_cells_with_other_skeletons_are_scored_apart() -> None:
    space = DartsSpace()
    rng = np.random.default_rng(0)
    usual = [space.sample(rng) for _ in range(3)]
    narrow = [
        Genotype(g.normal, concat, g.reduce, g.reduce_concat)
        for g, concat in zip(usual, [(2, 5), (3, 4), (4, 5)], strict=True)
    ]
    genotypes = [usual[0], narrow[0], usual[1], narrow[1], narrow[2]]
    with sizes_of_passes() as sizes:
        Scorer(task(space, proxies=("gradalign",)), 8).evaluate(genotypes)
    assert sizes == [2, 3]
    check(task(space, proxies=("gradalign",)), genotypes, 8, 1e-5, 0)


def test_invalid_settings_raise_instead_of_marking_candidates_failed() -> None:
    with pytest.raises(InputError, match="too small"):
        Scorer(task(images=torch.randn(6, 3, 2, 2)), 2).evaluate([FULL])
    scorer = Scorer(task(normalization="sample", images=torch.randn(6, 3, 5, 1)), 2)
    with pytest.raises(InputError):
        scorer.evaluate([FULL, DEAD])


def test_nothing_asked_for_is_nothing_scored() -> None:
    assert Scorer(task(), 2).evaluate([]) == []


@pytest.mark.parametrize(
    ("problem", "folds"),
    [
        (task(normalization="frozen"), True),
        (task(DartsSpace(), normalization="frozen"), True),
        (task(DeadlySpace(), normalization="frozen"), False),
        (task(Nasbench101Space(), normalization="frozen"), True),
        (task(proxies=("gradalign", "naswot", "swap", "params_live", "depth")), True),
        (task(proxies=("gradalign", "synflow", "linear_regions", "vkdnw")), True),
        (task(proxies=("gradalign", "params")), True),
        (task(proxies=("params",)), False),
    ],
)
def test_stacks_only_where_they_give_the_same(problem: ScoringTask, folds: bool) -> None:
    assert can_stack(problem) is folds
    genotype = problem.space.sample(np.random.default_rng(0))
    (seen,) = Scorer(problem, 4).evaluate([genotype])
    alone = problem.evaluate(genotype)
    assert seen.status == alone.status == "ok"
    assert seen.scores == pytest.approx(alone.scores, rel=1e-5)


def test_a_pass_that_skips_candidates_is_refused() -> None:
    broken = replace(pass_of(Grams), run=lambda subject, wanted: [])
    cells = random_cells(2)
    message = "pass 'per_sample' gave 0 outcomes for 2 candidates"
    with PASSES.temporarily(broken), pytest.raises(InputError, match=message):
        Scorer(task(), 4).evaluate(cells)


@pytest.mark.parametrize("stacked", [True, False])
def test_a_failing_pass_does_not_affect_the_others(stacked: bool) -> None:
    def fail(subject: Subject, wanted: frozenset[type]) -> Any:
        raise ZeroDivisionError

    problem = task(proxies=("naswot", "gradalign", "params"))
    with PASSES.temporarily(replace(pass_of(Grams), run=fail)):
        (evaluation,) = Scorer(problem, 2).evaluate([FULL]) if stacked else [problem.evaluate(FULL)]
    assert (evaluation.status, list(evaluation.scores)) == ("failed", ["naswot", "params"])
    assert evaluation.reason == "gradalign: ZeroDivisionError: no message"


def test_a_space_without_stacks_is_scored_by_its_ordinary_networks() -> None:
    built: list[Any] = []

    class Watched(Nasbench201Space):
        def build(self, genotype: Any, *arguments: Any, **macro: Any) -> Any:
            built.append((genotype, arguments[0]))
            return super().build(genotype, *arguments, **macro)

    genotypes = random_cells(2)
    scores = ("gradalign", "gradalign_ii", "swap", "linear_regions", "params")
    found = Scorer(task(Watched(), proxies=scores), 8).evaluate(genotypes)
    for genotype, evaluation in zip(genotypes, found, strict=True):
        assert evaluation.scores == task(proxies=scores).evaluate(genotype).scores
    # One network, whatever the statistics and the form, and the narrow one.
    assert sorted(map(str, built)) == sorted(
        str((genotype, shape)) for genotype in genotypes for shape in ((3, 8, 8), (1, 5, 5))
    )


@law
@given(st.integers(0, 40), st.integers(1, 9), st.integers(0, 40), st.integers(0, 40))
def test_candidates_are_grouped_by_what_was_asked_for(
    count: int, size: int, start: int, stop: int
) -> None:
    whole = list(stacks(count, size))
    assert [number for chosen in whole for number in chosen] == list(range(count))
    assert all(len(chosen) <= size for chosen in whole)
    some = list(stacks(count, size, start, stop))
    wanted = range(start, min(stop, count))
    assert some == [chosen for chosen in whole if set(chosen) & set(wanted)]


def test_modules_are_made_once() -> None:
    made: list[int] = []

    def make(channels: int) -> torch.nn.Module:
        made.append(channels)
        return torch.nn.Conv2d(3, channels, 3)

    pool = ModulePool("cpu", 0, "default", 0)
    first = pool("a", make, 4)
    assert pool("a", make, 4) is first
    assert made == [4]
    assert pool("a", make, 5).get_parameter("weight").shape == (5, 3, 3, 3)
    weights = [pool(name, make, 4).get_parameter("weight") for name in ("a", "b")]
    assert not torch.equal(*weights)


def calls(scorer: Scorer, genotypes: list[Any]) -> int:
    scorer.evaluate(genotypes)  # modules are made
    return count_calls(lambda: scorer.evaluate(genotypes))


@pytest.mark.slow
def test_calls_of_a_stack_are_those_of_few_networks() -> None:
    scorer = Scorer(task(proxies=("gradalign_ii_layerwise",)), 64)
    one = calls(scorer, [FULL])
    sixteen, sixty = calls(scorer, random_cells(16)), calls(scorer, random_cells(64))
    assert sixteen < 3 * one
    # Every operation is at every place: what is left grows with the scores that are read.
    assert sixty < 1.6 * sixteen
    alone = sum(calls(scorer, [genotype]) for genotype in random_cells(64))
    assert sixty < alone / 4


@pytest.mark.parametrize("proxy", ["jacob_cov", "meco", "synflow", "zico", "grasp", "ntk_cond"])
def test_calls_of_every_kind_of_pass_are_those_of_few_networks(proxy: str) -> None:
    scorer = Scorer(task(proxies=(proxy,)), 64)
    one = calls(scorer, [FULL])
    sixteen, sixty = calls(scorer, random_cells(16)), calls(scorer, random_cells(64))
    assert sixteen < 5 * one
    assert sixty < 2 * sixteen
