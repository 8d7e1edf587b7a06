"""Your own network as a search space: torchvision's ResNet with elastic widths and depths.

python -m nas_search --config-dir examples/conf search_space=elastic_resnet

The choices stand in conf/search_space/elastic_resnet.yaml, and this function is all that a search
needs beside them. What it returns may be any module that maps images to logits. The best is
trained with finalists.k=1, and left as a folder whose model.py holds this function.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet


def build(
    choices: dict[str, Any], input_shape: tuple[int, int, int], num_classes: int
) -> nn.Module:
    """Return a ResNet for small images: without the stem's stride and pooling."""
    stages = range(1, choices["stages"] + 1)
    depths = [choices[f"depth{stage}"] for stage in stages]
    widths = [choices[f"width{stage}"] for stage in stages]
    network = ResNet(BasicBlock, [1, 1, 1, 1], num_classes)
    network.inplanes = widths[0]
    network.conv1 = nn.Conv2d(input_shape[0], widths[0], 3, padding=1, bias=False)
    network.bn1 = nn.BatchNorm2d(widths[0])
    network.maxpool = nn.Identity()
    for stage in (1, 2, 3, 4):
        blocks: nn.Module = nn.Identity()
        if stage in stages:
            stride = 1 if stage == 1 else 2
            blocks = network._make_layer(BasicBlock, widths[stage - 1], depths[stage - 1], stride)
        setattr(network, f"layer{stage}", blocks)
    network.fc = nn.Linear(widths[-1], num_classes)
    made: nn.Module = network
    return made
