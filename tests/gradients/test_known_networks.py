"""Per-sample gradients of networks that people know equal those of one backward pass per sample."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tests.gradients.exact import assert_exact
from tests.gradients.known_networks import NETWORKS, built

SLOW = {
    *("resnet18", "regnet_y_400mf", "inception_v3", "googlenet", "efficientnet_b0_timm"),
    *("condconv", "evonorm", "hrnet", "repvgg", "res2net", "fastvit", "ghostnet", "resnext50"),
    *("vgg_bn", "mobilevit", "mnasnet"),
}
STATISTICS = {
    "densenet": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "shufflenet_v2": 64,
    "seresnet": 64,
    "ecaresnet": 64,
    "edgenext": 64,
    "maxvit": 64,
}
"""Networks whose batch-norm is compared in every mode, with images that leave it maps to see."""


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(3, 3, size, size, generator=generator, dtype=torch.float64)
    return images, torch.tensor([0, 1, 3])


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NETWORKS],
)
def test_known_networks_are_exact_by_the_rules(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    known = NETWORKS[name]
    way = assert_exact(built(known), *batch(known.size))
    record_property("way", way)
    assert way == "rules"


@pytest.mark.parametrize("mode", ["sample", "frozen"])
@pytest.mark.parametrize("name", STATISTICS)
def test_known_networks_with_the_statistics_of_samples_and_batch(name: str, mode: str) -> None:
    network = built(NETWORKS[name])
    assert assert_exact(network.train(), *batch(STATISTICS[name]), mode) == "rules"
