"""What a recipe leaves to the device: precision, memory format, CUDA graphs."""

from __future__ import annotations

import dataclasses

import torch

from nas_search.training.recipe import Recipe

BF16_SINCE = (8, 0)
"""Compute capability of the first GPUs that multiply bfloat16."""


def for_device(recipe: Recipe, device: str) -> Recipe:
    """Return ``recipe`` with everything decided that it leaves to the device."""
    on_gpu = torch.device(device).type == "cuda"
    return decided(recipe, torch.cuda.get_device_capability(device) if on_gpu else None)


def decided(recipe: Recipe, capability: tuple[int, int] | None) -> Recipe:
    """Return ``recipe`` as it is trained by on a device.

    Channels-last is faster on a CPU whatever the precision, and on a GPU with bfloat16 (see
    docs/training.md). A graph saves launches, of which a CPU has none.

    Args:
        recipe: the recipe.
        capability: of the GPU; None for a CPU.
    """
    precision, channels_last, graph = recipe.precision, recipe.channels_last, recipe.cuda_graph
    if precision == "auto":
        precision = "bf16" if capability is not None and capability >= BF16_SINCE else "fp32"
    if channels_last is None:
        channels_last = capability is None or precision == "bf16"
    if graph is None:
        graph = not recipe.compile  # which makes its own
    return dataclasses.replace(
        recipe,
        precision=precision,
        channels_last=channels_last,
        cuda_graph=graph and capability is not None,
    )
