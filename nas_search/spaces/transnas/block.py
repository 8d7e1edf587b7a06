"""The block of TransNAS-Bench-101 macro: two 3x3 convolutions beside a shortcut."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nas_search.spaces.operations import relu_conv_bn
from nas_search.spaces.transnas.skeleton import Block, TransnasMacro, head, stem, stem_strides


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


class TransnasMacroNetwork(nn.Module):
    """A skeleton of basic blocks; images (n, channels, H, W) to logits (n, num_classes)."""

    def __init__(
        self,
        blocks: Sequence[Block],
        macro: TransnasMacro,
        input_shape: tuple[int, int, int],
        num_classes: int,
    ) -> None:
        super().__init__()
        image_channels, height, width = input_shape
        strides, _ = stem_strides((height, width), macro.stem_halvings)
        self.stem = stem(image_channels, macro.channels, strides)
        self.cells = nn.ModuleList(BasicBlock(*block[:3]) for block in blocks)
        self.head = head(blocks[-1].outputs, num_classes, macro.last_relu)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, num_classes) of ``images`` (n, channels, H, W)."""
        x = self.stem(images)
        for cell in self.cells:
            x = cell(x)
        logits: Tensor = self.head(x)
        return logits
