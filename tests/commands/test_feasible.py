"""Constraints that nothing meets are refused at once; those that little meets are not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from rich.console import Console

from nas_search.commands.feasible import check_constraints
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective
from nas_search.report.progress import Progress
from nas_search.scoring import Constraints, ScoringTask
from nas_search.spaces import SPACES

SPACE = SPACES.get("nasbench201").space()
IMAGES, LABELS = torch.zeros(2, 3, 8, 8), torch.tensor([0, 1])
TASK = ScoringTask(SPACE, {"cells": 1, "channels": 4}, IMAGES, LABELS, 2, ("params",))


def test_the_smallest_is_said_where_nothing_is_small_enough() -> None:
    least = TASK.cost(SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"))
    for constraints, words in (
        (
            Constraints({"max_params": 10}),
            f"has {least.params:,} parameters (constraints.max_params=10); change",
        ),
        (
            Constraints({"max_macs": least.macs - 1}),
            f"has {least.macs:,} MACs (constraints.max_macs={least.macs - 1}); change",
        ),
        (
            Constraints({"max_params": least.params, "max_macs": least.macs // 2}),
            f"by itself {least.macs:,} MACs at best",
        ),
        (
            Constraints({"max_params": least.params, "min_macs": least.macs + 1}),
            f"has {least.macs:,} MACs (constraints.min_macs={least.macs + 1}, which can be met",
        ),
    ):
        with pytest.raises(InputError, match="none of the 750 candidates") as caught:
            check_constraints(dataclasses.replace(TASK, constraints=constraints))
        assert words in str(caught.value)


def test_bounds_that_few_candidates_meet_are_accepted() -> None:
    rng = np.random.default_rng(0)
    params = sorted(TASK.cost(SPACE.sample(rng)).params for _ in range(500))
    least = TASK.cost(SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")).params
    assert least < params[len(params) // 20]
    for bound in (least, params[25], 10**9):
        check_constraints(dataclasses.replace(TASK, constraints=Constraints({"max_params": bound})))


def test_progress_does_not_foresee_an_end_while_all_are_rejected() -> None:
    progress = Progress(Console(quiet=True), Objective("params"), 10, None)
    for _ in range(1200):
        progress.advance(Evaluation("g", "k", "rejected"), 1.0)
    assert progress._line(1.0).startswith("0/10 evaluations (1,200 rejected)")
    assert progress._line(1.0).endswith("ETA ?")
    progress.advance(Evaluation("g", "k", "ok", {"params": 3.0}), 1.0)
    assert progress._line(1.0).startswith("1/10 evaluations (1,200 rejected)")
    assert "?" not in progress._line(1.0)
