"""The tangent kernel's condition and MeCo against naive implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_search.passes.logit_kernel import LogitKernel
from nas_search.proxies import PROXIES, Measurement
from nas_search.testing.proxies import small_network
from tests.proxies.naive import CELLS, batch, build, score

NUMBERS = range(len(CELLS))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("mode", ["batch", "sample", "eval"])
def test_condition_equals_that_of_gradients_per_image(number: int, mode: str) -> None:
    network = build(number, "kaiming_fan_out")
    images = batch()[0]
    rows = []
    for i in range(len(images)):
        network.train(mode != "eval").zero_grad()
        logits = network(images[i : i + 1])[0] if mode != "batch" else network(images)[i]
        logits.sum().backward()
        rows.append(
            np.concatenate(
                [
                    p.grad.flatten().numpy()
                    for name, p in network.named_parameters()
                    if "weight" in name and p.grad is not None
                ]
            )
        )
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
    values = np.linalg.eigvalsh(np.array(rows) @ np.array(rows).T)
    expected = -values[-1] / values[0]
    assert score("ntk_cond", number, normalization=mode) == pytest.approx(expected, rel=1e-5)


def test_condition_is_bounded_by_rounding_error() -> None:
    row = torch.tensor([[1.0, 2.0]]).double()
    seen = Measurement(LogitKernel((row.T @ row), 1e-7))
    assert PROXIES.get("ntk_cond").score(seen) == pytest.approx(-1e7, rel=1e-6)


def test_meco_sums_over_every_feature_map() -> None:
    network = small_network(3).train()
    image = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(4)).double()
    maps: list[Tensor] = []
    cells = (layer for cell in network.cells for layer in cell.children())
    for module in [*network.stem, *cells, *network.head]:
        module.register_forward_hook(lambda m, i, o: maps.append(o.detach()))
    network(image)
    expected = 0.0
    for output in maps:
        if output.dim() == 4 and output.shape[2:] != (1, 1):
            correlations = np.corrcoef(output[0].flatten(1).numpy())
            correlations[~np.isfinite(correlations)] = 0
            expected += np.linalg.eigvalsh(correlations)[0]
    from nas_search.passes.channels import ChannelCorrelations
    from nas_search.scoring import Measuring, measure

    again = small_network(3)
    seen = measure(again, *batch(), Measuring("batch", seed=4), [ChannelCorrelations])
    assert PROXIES.get("meco").score(seen) == pytest.approx(expected, rel=1e-9)
    assert len(seen[ChannelCorrelations].smallest) == 10  # global pooling among them, which adds 0
