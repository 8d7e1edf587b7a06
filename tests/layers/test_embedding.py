"""Embeddings keep the laws of a layer."""

from __future__ import annotations

from torch import nn

from nas_search.testing.layers import LayerCase, LayerConformance


class TestEmbedding(LayerConformance):
    rule = "embedding"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.Embedding(7, 3), (5,), tokens=7),
            LayerCase(nn.Embedding(3, 2, padding_idx=1), (4,), tokens=3),
            LayerCase(nn.Embedding(5, 2, padding_idx=-1), (2, 3), tokens=5),
        ]
