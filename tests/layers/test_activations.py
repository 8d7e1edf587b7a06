"""Activations keep the laws of a layer."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from nas_search.layers.activations import WITHOUT_PARAMETERS
from nas_search.testing.layers import LayerCase, LayerConformance

SETTINGS: dict[str, dict[str, Any]] = {
    "leaky_relu": {"negative_slope": 0.2},
    "elu": {"alpha": 0.7},
    "celu": {"alpha": 0.7},
    "gelu": {"approximate": "tanh"},
    "hardtanh": {"min_val": -0.5, "max_val": 1.5},
    "softplus": {"beta": 2.0, "threshold": 3.0},
}


class TestPReLU(LayerConformance):
    rule = "prelu"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.PReLU(), (3, 2, 3)),
            LayerCase(nn.PReLU(3, init=0.1), (3, 2, 3)),
            LayerCase(nn.PReLU(4), (4,)),
        ]


class TestWithoutParameters(LayerConformance):
    @pytest.fixture(autouse=True, params=sorted(WITHOUT_PARAMETERS))
    def _one_of_them(self, request: pytest.FixtureRequest) -> None:
        self.rule = request.param

    def cases(self) -> list[LayerCase]:
        kind, _ = WITHOUT_PARAMETERS[self.rule]
        return [
            LayerCase(kind(**settings), (3, 4)) for settings in ({}, SETTINGS.get(self.rule, {}))
        ]
