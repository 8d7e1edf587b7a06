"""Convolutions keep the laws of a layer."""

from __future__ import annotations

from torch import nn

from nas_search.testing.layers import LayerCase, LayerConformance


class TestConv2d(LayerConformance):
    rule = "conv2d"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.Conv2d(3, 4, 3, padding=1), (3, 4, 5), macs=4 * 20 * 27),
            LayerCase(nn.Conv2d(3, 4, 1, bias=False), (3, 4, 5), macs=4 * 20 * 3),
            LayerCase(nn.Conv2d(2, 4, 1, stride=2), (2, 5, 4), macs=4 * 6 * 2),
            LayerCase(nn.Conv2d(4, 6, (3, 2), (2, 1), 1, 2, 2), (4, 5, 4), macs=6 * 8 * 12),
            LayerCase(nn.Conv2d(4, 4, 3, 2, 1, groups=4), (4, 5, 6), macs=4 * 9 * 9),
            LayerCase(nn.Conv2d(3, 3, 5, 1, 4, 2, groups=3), (3, 4, 5), macs=3 * 20 * 25),
            LayerCase(nn.Conv2d(3, 6, 3, padding="same", groups=3), (3, 3, 4), macs=6 * 12 * 9),
            LayerCase(nn.Conv2d(2, 3, (2, 3), padding="same"), (2, 3, 4), macs=3 * 12 * 12),
            LayerCase(nn.Conv2d(2, 3, 2, 3, padding="valid"), (2, 6, 5), macs=3 * 4 * 8),
        ]


class TestConv1d(LayerConformance):
    rule = "conv1d"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.Conv1d(3, 4, 3, padding=1), (3, 7), macs=4 * 7 * 9),
            LayerCase(nn.Conv1d(3, 4, 1, bias=False), (3, 7), macs=4 * 7 * 3),
            LayerCase(nn.Conv1d(4, 6, 3, 2, 2, 2, 2), (4, 8), macs=6 * 4 * 6),
            LayerCase(nn.Conv1d(4, 4, 5, 3, 1, groups=4), (4, 9), macs=4 * 3 * 5),
            LayerCase(nn.Conv1d(2, 3, 4, padding="same", dilation=3), (2, 8), macs=3 * 8 * 8),
            LayerCase(nn.Conv1d(2, 3, 4, 4), (2, 11), macs=3 * 2 * 8),
        ]


class TestConvTranspose2d(LayerConformance):
    rule = "conv_transpose2d"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.ConvTranspose2d(3, 4, 3), (3, 3, 4), macs=36 * 4 * 9),
            LayerCase(nn.ConvTranspose2d(3, 2, 1, bias=False), (3, 3, 4), macs=36 * 2),
            LayerCase(nn.ConvTranspose2d(2, 3, 2, stride=2), (2, 3, 2), macs=12 * 3 * 4),
            LayerCase(
                nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), 1, (1, 2), groups=2),
                (4, 3, 2),
                macs=24 * 3 * 6,
            ),
            LayerCase(nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=4), (4, 3, 3), macs=36 * 9),
            LayerCase(  # as much padding of the output as the stride, and more
                nn.ConvTranspose2d(2, 2, 3, (1, 2), 2, 2, dilation=3), (2, 3, 4), macs=24 * 2 * 9
            ),
        ]


class TestConvTranspose1d(LayerConformance):
    rule = "conv_transpose1d"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.ConvTranspose1d(3, 4, 3, 2, 1), (3, 5), macs=15 * 4 * 3),
            LayerCase(nn.ConvTranspose1d(4, 6, 4, 3, 1, 2, 2, False), (4, 5), macs=20 * 3 * 4),
            LayerCase(nn.ConvTranspose1d(2, 2, 3, 1, 3, 2, dilation=3), (2, 5), macs=10 * 2 * 3),
        ]
