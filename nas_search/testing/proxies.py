"""The laws of a proxy, as tests to inherit.

Example of a complete test file::

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
from torch import Tensor, nn

from nas_search.gradients import NORMALIZATIONS, SCHEMES
from nas_search.passes import Facts, Form, pass_of
from nas_search.passes.base import NARROW_IMAGE
from nas_search.passes.per_sample import Grams
from nas_search.proxies import PROXIES, Measurement, ProxyRecord
from nas_search.proxies.base import Origin
from nas_search.scoring import Measuring, initialize
from nas_search.scoring.measure import measure_stack

_seeds = st.integers(0, 2**32 - 1)
_law = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.differing_executors],
)


def random_gradients(seed: int) -> list[Tensor]:
    """Return per-sample gradients, (n, P_l) float64 per layer, on different scales."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    common = rng.uniform(0, 2)
    layers = []
    for size in rng.integers(1, 40, size=rng.integers(1, 5)):
        rows = rng.normal(size=(n, size)) + common * rng.normal(size=size)
        layers.append(torch.from_numpy(rows * 10 ** rng.uniform(-6, 3)))
    return layers


def measurement(gradients: list[Tensor]) -> Measurement:
    """Return the measurement of these (n, P_l) ``gradients``."""
    grams = torch.stack([rows @ rows.T for rows in gradients])
    return Measurement(Grams(tuple(f"layer{i}.weight" for i in range(len(gradients))), grams))


class SmallNetwork(nn.Module):
    """A small network with all parts that scores use: a stem, two cells and a head."""

    def __init__(self, image_channels: int = 3) -> None:
        super().__init__()
        stem = nn.Conv2d(image_channels, 4, 3, padding=1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(4))
        self.cells = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.Conv2d(c, d, 3, s, 1, bias=False), nn.BatchNorm2d(d))
            for c, d, s in ((4, 5, 1), (5, 6, 2))
        )
        self.head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 3, 8, 8) to (n, 3)."""
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x)
        logits: Tensor = self.head(x)
        return logits


def small_network(seed: int, image_channels: int = 3) -> SmallNetwork:
    """Return the small network in float64 with weights drawn from ``seed``."""
    with torch.device("meta"):  # building on a real device would draw from the global generator
        network = SmallNetwork(image_channels)
    initialize(network.to_empty(device="cpu"), seed)
    return network.double()


def measured(record: ProxyRecord, seed: int, *, reverse: bool = False) -> Measurement:
    """Return the measurement for ``record`` of a small random network on eight random images.

    Args:
        record: record of the score.
        seed: seed of the network's weights and the images.
        reverse: use the images in reverse order.
    """
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(8, 3, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    if reverse:
        images, labels = images.flip(0), labels.flip(0)
    how = Measuring(record.normalization or "batch")
    facts = Facts(1000, 2000, f"key {seed}", seed)

    def network(form: Form) -> SmallNetwork:
        return small_network(seed, NARROW_IMAGE[0] if form == "narrow" else 3)

    (measurement,) = measure_stack(network, images, labels, how, record.needs, [facts])
    return measurement


class ProxyConformance:
    """The laws of every proxy; inherit it and set :attr:`proxy`.

    Attributes:
        proxy: the registered name of the proxy under test.
        order_matters: whether the score depends on the order of the images by definition.
    """

    proxy: ClassVar[str]
    order_matters: ClassVar[bool] = False

    @property
    def record(self) -> ProxyRecord:
        """The proxy's record."""
        return PROXIES.get(self.proxy)

    def test_record_is_complete(self) -> None:
        record = self.record
        assert record.name == self.proxy
        assert record.name.isidentifier()
        assert record.name == record.name.lower()
        assert record.normalization in (*NORMALIZATIONS, None)
        assert record.init in SCHEMES
        assert record.origin in get_args(Origin)
        assert record.batch_size >= 2
        assert record.repeats >= 1
        assert record.needs
        for kind in record.needs:
            pass_of(kind)  # raises if no pass provides it
        for text in (record.source, record.summary):
            assert text.strip() == text
            assert text
            assert "\n" not in text

    @_law
    @given(_seeds)
    def test_score_is_a_finite_float_and_a_pure_function(self, seed: int) -> None:
        random_state = torch.get_rng_state()
        result = measured(self.record, seed)
        score = self.record.score(result)
        assert type(score) is float
        assert math.isfinite(score)
        assert self.record.score(result) == score  # the measurement was not changed
        assert self.record.score(measured(self.record, seed)) == score
        assert torch.equal(torch.get_rng_state(), random_state)

    @_law
    @given(_seeds)
    def test_score_does_not_depend_on_the_order_of_the_images(self, seed: int) -> None:
        if self.order_matters:
            return
        score = self.record.score(measured(self.record, seed))
        reversed_ = self.record.score(measured(self.record, seed, reverse=True))
        assert reversed_ == pytest.approx(score, rel=1e-7, abs=1e-7)


class GramConformance(ProxyConformance):
    """The laws of a proxy that is a function of the per-sample Gram matrices alone."""

    @_law
    @given(_seeds)
    def test_score_of_any_gradients_is_a_finite_float(self, seed: int) -> None:
        score = self.record.score(measurement(random_gradients(seed)))
        assert type(score) is float
        assert math.isfinite(score)

    @_law
    @given(_seeds)
    def test_score_is_a_pure_function_of_the_gradients(self, seed: int) -> None:
        gradients = random_gradients(seed)
        result = measurement(gradients)
        before = result.grams.clone()
        first = self.record.score(result)
        assert torch.equal(result.grams, before)
        assert self.record.score(result) == first  # cached parts included
        assert self.record.score(measurement(gradients)) == first

    @_law
    @given(_seeds)
    def test_score_does_not_depend_on_the_order_of_the_gradients(self, seed: int) -> None:
        gradients = random_gradients(seed)
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(gradients[0])))
        shuffled = [rows[order] for rows in gradients]
        score = self.record.score(measurement(gradients))
        # The ridge of 1e-6 amplifies differences of 1e-15 in K up to a billion times.
        assert self.record.score(measurement(shuffled)) == pytest.approx(score, rel=1e-7, abs=1e-7)

    def test_score_is_computed_in_double_precision(self) -> None:
        # A difference of 1e-9 in one direction is below single precision.
        rng = np.random.default_rng(0)
        rows = torch.from_numpy(rng.normal(size=(6, 30)))
        moved = rows.clone()
        moved[0] += 1e-9 * torch.from_numpy(rng.normal(size=30))
        assert self.record.score(measurement([rows])) != self.record.score(measurement([moved]))
