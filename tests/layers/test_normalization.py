"""Layers of normalization keep the laws of a layer, with scale and shift and without."""

from __future__ import annotations

from torch import nn

from nas_search.testing.layers import LayerCase, LayerConformance


class TestBatchNorm(LayerConformance):
    rule = "batch_norm"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.BatchNorm2d(3), (3, 3, 4)),
            LayerCase(nn.BatchNorm2d(3, affine=False), (3, 3, 4)),
            LayerCase(nn.BatchNorm1d(3, eps=0.1), (3, 5)),
        ]


class TestLayerNorm(LayerConformance):
    rule = "layer_norm"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.LayerNorm(5), (5,)),
            LayerCase(nn.LayerNorm(5), (3, 5)),
            LayerCase(nn.LayerNorm(5, bias=False, eps=0.1), (3, 5)),
            LayerCase(nn.LayerNorm((2, 3)), (2, 2, 3)),
            LayerCase(nn.LayerNorm((2, 1, 3)), (2, 1, 3)),
            LayerCase(nn.LayerNorm(4, elementwise_affine=False), (2, 3, 4)),
        ]


class TestRMSNorm(LayerConformance):
    rule = "rms_norm"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.RMSNorm(5), (5,)),
            LayerCase(nn.RMSNorm(5, eps=0.1), (3, 5)),
            LayerCase(nn.RMSNorm((2, 3)), (2, 2, 3)),
            LayerCase(nn.RMSNorm(4, elementwise_affine=False), (2, 3, 4)),
        ]


class TestGroupNorm(LayerConformance):
    rule = "group_norm"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.GroupNorm(2, 4), (4, 2, 3)),
            LayerCase(nn.GroupNorm(1, 3, eps=0.1), (3, 2, 2)),
            LayerCase(nn.GroupNorm(2, 6), (6,)),
            LayerCase(nn.GroupNorm(2, 4, affine=False), (4, 5)),
        ]


class TestInstanceNorm(LayerConformance):
    rule = "instance_norm"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.InstanceNorm2d(3, affine=True), (3, 2, 3)),
            LayerCase(nn.InstanceNorm2d(3), (3, 2, 3)),
            LayerCase(nn.InstanceNorm2d(3, affine=True, track_running_stats=True), (3, 2, 3)),
            LayerCase(nn.InstanceNorm1d(3, affine=True, eps=0.1), (3, 5)),
            LayerCase(nn.InstanceNorm3d(2, affine=True), (2, 2, 2, 3)),
        ]
