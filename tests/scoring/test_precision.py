"""Lower precision: near to single precision, refused where rounding would pass for a gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from nas_search.core.device import set_precision
from nas_search.core.errors import InputError
from nas_search.gradients import GramSink, per_sample_backward
from nas_search.scoring import Executor, start_workers
from nas_search.scoring.scorer import Scorer
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.scoring.problem import task


@pytest.fixture(autouse=True)
def flags() -> Iterator[None]:
    """Leave torch's flags as they were."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_precision_sets_the_flags_of_gpus_in_the_process_that_scores() -> None:
    for precision, rounds in (("tf32", True), ("fp32", False), ("bf16", True)):
        start_workers(Executor("inline"), task(normalization="frozen", precision=precision))
        assert torch.backends.cuda.matmul.allow_tf32 is rounds
        assert torch.backends.cudnn.allow_tf32 is rounds
    set_precision("fp32")
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("space", [Nasbench201Space(), DartsSpace()], ids=["201", "darts"])
@pytest.mark.parametrize("statistics", ["frozen", "eval"])
def test_bfloat16_is_near_and_alike_in_stacks(space: Any, statistics: Any) -> None:
    rng = np.random.default_rng(0)
    genotypes = [space.sample(rng) for _ in range(4)]
    wanted = {"proxies": ("gradalign_i_layerwise", "grad_norm"), "normalization": statistics}
    exact, low = task(space, **wanted), task(space, precision="bf16", **wanted)
    together = Scorer(low, 4).evaluate(genotypes)
    for genotype, seen in zip(genotypes, together, strict=True):
        alone, expected = low.evaluate(genotype), exact.evaluate(genotype)
        assert seen.status == alone.status == expected.status
        for name, value in expected.scores.items():
            assert value != alone.scores[name] == pytest.approx(value, rel=0.1, abs=0.01)
            assert seen.scores[name] == pytest.approx(alone.scores[name], rel=0.02, abs=0.002)


def test_activations_are_kept_in_bfloat16_and_sums_are_not() -> None:
    space = Nasbench201Space()
    cell = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
    problem = task(space)
    network = problem.build(cell)
    seen = set()
    for name, module in network.named_modules():
        if name.startswith("cells.") and not list(module.children()):
            module.register_forward_hook(lambda m, i, output: seen.add(output.dtype))
    sink = GramSink()
    logits = per_sample_backward(
        network,
        problem.images,
        problem.labels,
        [sink],
        normalization="frozen",
        precision="bf16",
        way="rules",  # without the check of the first pass, which is in full precision
    )
    assert seen == {torch.bfloat16}
    assert logits.dtype == torch.float32
    assert {gram.dtype for gram in sink.grams.values()} == {torch.float32}


@pytest.mark.parametrize("statistics", ["sample", "batch"])
def test_where_rounding_would_pass_for_a_gradient_it_is_refused(statistics: Any) -> None:
    problem = task(normalization=statistics, precision="bf16")
    genotype = problem.space.sample(np.random.default_rng(0))
    for evaluate in (problem.evaluate, lambda g: Scorer(problem, 2).evaluate([g])):
        with pytest.raises(InputError, match="precision=bf16 cannot tell .* use frozen or eval"):
            evaluate(genotype)


def test_other_precisions_are_refused() -> None:
    with pytest.raises(InputError, match="unknown precision 'fp8'; possible: fp32, tf32, bf16"):
        task(precision="fp8")
