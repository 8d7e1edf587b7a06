"""The block of TransNAS-Bench-101 macro: two 3x3 convolutions beside a shortcut."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nas_search.spaces.operations import relu_conv_bn
from nas_search.spaces.transnas.skeleton import Block, TransnasMacro, TransnasNetwork


class BasicBlock(nn.Module):
    """ReLU, convolution and batch-norm twice; the shortcut is a 1x1 convolution where sizes change.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        stride: of the first convolution and of the shortcut.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            relu_conv_bn(inputs, outputs, 3, stride), relu_conv_bn(outputs, outputs, 3)
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride == 2 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, ...), of half the sides where the stride is 2."""
        y: Tensor = self.shortcut(x) + self.convolutions(x)
        return y


class TransnasMacroNetwork(TransnasNetwork):
    """A skeleton of basic blocks; images (n, channels, H, W) to logits (n, num_classes)."""

    def __init__(
        self,
        blocks: Sequence[Block],
        macro: TransnasMacro,
        input_shape: tuple[int, int, int],
        num_classes: int,
    ) -> None:
        super().__init__(
            lambda block: BasicBlock(*block[:3]), blocks, macro, input_shape, num_classes
        )
