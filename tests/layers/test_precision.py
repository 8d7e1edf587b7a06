"""Layers of the book run beside convolutions that compute in bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_search.core.device import Precision
from nas_search.gradients import per_sample_backward
from nas_search.testing.gradients import MatrixSink


class Mixed(nn.Module):
    """A convolution before each other layer: what they see has little precision."""

    def __init__(self) -> None:
        super().__init__()
        norms = (
            nn.GroupNorm(2, 4),
            nn.InstanceNorm2d(4, affine=True),
            nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
            nn.PReLU(4),
            nn.BatchNorm2d(4),
            nn.LayerNorm(6),
            nn.RMSNorm(6),
            nn.ConvTranspose2d(4, 4, 3, padding=1),
        )
        before = [nn.Conv2d(4, 4, 3, padding=1) for _ in norms]
        self.maps = nn.Sequential(
            *(layer for pair in zip(before, norms, strict=True) for layer in pair)
        )
        self.row = nn.Sequential(nn.Conv1d(4, 4, 3, padding=1), nn.ConvTranspose1d(4, 4, 3))
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.row(self.maps(x).mean(2)).flatten(1))
        return logits


def test_gradients_are_close_to_those_of_single_precision() -> None:
    torch.manual_seed(0)
    network, x = Mixed(), torch.randn(4, 4, 5, 6)
    sinks = MatrixSink(), MatrixSink()
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for sink, precision in zip(sinks, precisions, strict=True):
        per_sample_backward(
            network,
            x,
            torch.tensor([0, 1, 2, 1]),
            [sink],
            normalization="frozen",
            parameters="all",
            precision=precision,
        )
    full, low = (sink.rows for sink in sinks)
    assert full.keys() == low.keys() == dict(network.named_parameters()).keys()
    largest = max(rows.norm() for rows in full.values())
    for name, rows in full.items():
        assert low[name].dtype == torch.float32 or name.endswith("bias"), name
        difference = (low[name].float() - rows).norm()
        assert difference < 0.1 * rows.norm() + 0.01 * largest, name
    assert any(not torch.equal(low[name].float(), rows) for name, rows in full.items())
