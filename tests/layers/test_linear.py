"""Linear layers keep the laws of a layer, on one position and on several."""

from __future__ import annotations

from torch import nn

from nas_search.testing.layers import LayerCase, LayerConformance


class TestLinear(LayerConformance):
    rule = "linear"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.Linear(5, 3), (5,), macs=15),
            LayerCase(nn.Linear(5, 3, bias=False), (5,), macs=15),
            LayerCase(nn.Linear(3, 4), (6, 3), macs=72),
            LayerCase(nn.Linear(3, 2, bias=False), (2, 4, 3), macs=48),
            LayerCase(nn.Linear(24, 32), (3, 24), macs=3 * 24 * 32),  # gradients stay factored
        ]
