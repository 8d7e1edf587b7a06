"""Whatever a formula gives becomes one real number or a failure with its reason."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from nas_search.core.evaluation import Evaluation
from nas_search.proxies import PROXIES, Measurement
from nas_search.proxies.base import ProxyRecord
from nas_search.scoring.formula import NoNumber, number
from tests.conftest import Register
from tests.scoring.problem import task


@pytest.mark.parametrize(
    "value",
    [2.5, np.float32(2.5), np.float64(2.5), torch.tensor(2.5), torch.tensor([[2.5]]),
     np.array([2.5]), Fraction(5, 2), torch.tensor(2.5, dtype=torch.bfloat16)],
)  # fmt: skip
def test_one_real_number_is_a_float(value: Any) -> None:
    assert number(value) == 2.5
    assert type(number(value)) is float


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1 + 2j, "the score is a complex, not one real number"),
        (np.complex64(1), "complex64"),
        (torch.tensor(1 + 0j), "Tensor of shape"),
        (torch.ones(3), r"a Tensor of shape \(3,\)"),
        (np.ones((2, 1)), r"a ndarray of shape \(2, 1\)"),
        (torch.ones(0), "a Tensor of shape"),
        ("2.5", "a str"),
        (None, "a NoneType"),
        ([2.5], "a list"),
        (10**400, "a int"),
        (Decimal("2.5"), "a Decimal"),
    ],
)
def test_anything_else_is_none(value: Any, message: str) -> None:
    with pytest.raises(NoNumber, match=message):
        number(value)


@pytest.mark.parametrize("value", [1 + 2j, torch.ones(3), None])
def test_a_candidate_whose_score_is_none_has_failed(value: Any, register: Register) -> None:
    def odd(_: Measurement) -> Any:
        return value

    register(PROXIES, ProxyRecord("odd", odd, "frozen", "ours", "this file", "odd"))
    scored = task(proxies=("odd", "params"))
    space = scored.space
    evaluation: Evaluation = scored.evaluate(space.sample(np.random.default_rng(0)))
    assert evaluation.status == "failed"
    assert set(evaluation.scores) == {"params"}
    assert evaluation.reason.startswith("odd: the score is a ")
