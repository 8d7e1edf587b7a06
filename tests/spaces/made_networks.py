"""Functions of choices as a user writes them, some of them wrong; importable by workers."""

from __future__ import annotations

from typing import Any

from torch import nn

Shape = tuple[int, int, int]

CHOICES: dict[str, Any] = {
    "depth": [1, 2, 3],
    "width": {"from": 4, "to": 12, "step": 4},
    "kernel": {"values": [1, 3], "if": "depth >= 2"},
    "block": ["plain", "norm"],
}


def chain(choices: dict[str, Any], input_shape: Shape, num_classes: int) -> nn.Module:
    """Convolutions; the kernel of all but the first is a choice where there are such."""
    layers: list[nn.Module] = []
    inputs, width = input_shape[0], choices["width"]
    assert ("kernel" in choices) == (choices["depth"] >= 2)
    for number in range(choices["depth"]):
        kernel = choices["kernel"] if number else 3
        layers.append(nn.Conv2d(inputs, width, kernel, padding=kernel // 2))
        layers += [nn.BatchNorm2d(width)] if choices["block"] == "norm" else []
        layers.append(nn.ReLU())
        inputs = width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes)
    )


def picky(choices: dict[str, Any], input_shape: Shape, num_classes: int) -> nn.Module:
    """The same, but it knows nothing of three layers, and counts classes wrongly at two."""
    if choices["depth"] == 3:
        raise KeyError("three layers\nare too many")
    return chain(choices, input_shape, num_classes + (choices["depth"] == 2))


def raises(choices: dict[str, Any], input_shape: Shape, num_classes: int) -> nn.Module:
    raise ValueError("no such width\nin the table")


def returns_none(choices: dict[str, Any], input_shape: Shape, num_classes: int) -> Any:
    return None


def too_many_logits(choices: dict[str, Any], input_shape: Shape, num_classes: int) -> nn.Module:
    return chain(choices, input_shape, num_classes + 1)


def wrong_channels(choices: dict[str, Any], input_shape: Shape, num_classes: int) -> nn.Module:
    return chain(choices, (input_shape[0] + 1, *input_shape[1:]), num_classes)


NOT_A_FUNCTION = 3
