"""The laws of a proxy, as tests that a proxy's test file inherits.

Example, a whole test file::

    class TestMyProxy(ProxyConformance):
        proxy = "my_proxy"
"""

# ruff: noqa: D102  (a test's name says what it checks)

from __future__ import annotations

import math
from typing import ClassVar, get_args

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nas_search.gradients import NORMALISATIONS
from nas_search.proxies import PROXIES, Measurement, ProxyRecord
from nas_search.proxies.base import Origin

_seeds = st.integers(0, 2**32 - 1)
_law = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.differing_executors],
)


def random_gradients(seed: int) -> list[Tensor]:
    """Return per-sample gradients, (n, P_l) float64 for each of some layers, on varied scales."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    common = rng.uniform(0, 2)  # how much of the gradient all samples share
    layers = []
    for size in rng.integers(1, 40, size=rng.integers(1, 5)):
        rows = rng.normal(size=(n, size)) + common * rng.normal(size=size)
        layers.append(torch.from_numpy(rows * 10 ** rng.uniform(-6, 3)))
    return layers


def measurement(gradients: list[Tensor]) -> Measurement:
    """Return what a pass would have collected from these (n, P_l) ``gradients``."""
    grams = torch.stack([rows @ rows.T for rows in gradients])
    return Measurement(tuple(f"layer{i}.weight" for i in range(len(gradients))), grams)


class ProxyConformance:
    """What every proxy keeps; inherit it and set :attr:`proxy`.

    Attributes:
        proxy: the registered name of the proxy under test.
    """

    proxy: ClassVar[str]

    @property
    def record(self) -> ProxyRecord:
        """The proxy's record."""
        return PROXIES.get(self.proxy)

    def test_the_record_says_what_it_is(self) -> None:
        record = self.record
        assert record.name == self.proxy
        assert record.name.isidentifier()
        assert record.name == record.name.lower()
        assert record.normalisation in NORMALISATIONS
        assert record.origin in get_args(Origin)
        for text in (record.source, record.summary):
            assert text.strip() == text
            assert text
            assert "\n" not in text

    @_law
    @given(_seeds)
    def test_is_a_finite_float(self, seed: int) -> None:
        score = self.record.score(measurement(random_gradients(seed)))
        assert type(score) is float
        assert math.isfinite(score)

    @_law
    @given(_seeds)
    def test_is_a_pure_function_of_the_measurement(self, seed: int) -> None:
        gradients = random_gradients(seed)
        seen = measurement(gradients)
        before = seen.grams.clone()
        random_state = torch.get_rng_state()
        first = self.record.score(seen)
        assert torch.equal(seen.grams, before)
        assert torch.equal(torch.get_rng_state(), random_state)
        assert self.record.score(seen) == first  # cached parts included
        assert self.record.score(measurement(gradients)) == first

    @_law
    @given(_seeds)
    def test_the_order_of_the_images_does_not_matter(self, seed: int) -> None:
        gradients = random_gradients(seed)
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(gradients[0])))
        shuffled = [rows[order] for rows in gradients]
        score = self.record.score(measurement(gradients))
        # Down to the ridge of 1e-6, differences of 1e-15 in K are amplified a billion times.
        assert self.record.score(measurement(shuffled)) == pytest.approx(score, rel=1e-7, abs=1e-7)

    def test_works_in_double_precision(self) -> None:
        # A difference of 1e-9 in one direction, which single precision cannot hold, is seen.
        rng = np.random.default_rng(0)
        rows = torch.from_numpy(rng.normal(size=(6, 30)))
        moved = rows.clone()
        moved[0] += 1e-9 * torch.from_numpy(rng.normal(size=30))
        assert self.record.score(measurement([rows])) != self.record.score(measurement([moved]))
