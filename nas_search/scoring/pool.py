"""Initialized modules by name, made once: stacked networks are put together from them."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch
from torch import nn

from nas_search.gradients import Scheme
from nas_search.scoring.initialize import initialize


class ModulePool:
    """Makes each module when it is first asked for and gives the same one ever after.

    A module's weights follow from its name (:mod:`nas_search.scoring.initialize`): they are those
    that it has in the network of a candidate alone.

    Args:
        device: where the modules are.
        seed: the run's seed.
        scheme: distribution of the initial weights.
        draw: number of the draw within the run.
    """

    def __init__(self, device: str, seed: int, scheme: Scheme, draw: int) -> None:
        self._device, self._seed, self._scheme, self._draw = device, seed, scheme, draw
        self._modules: dict[tuple[Hashable, ...], nn.Module] = {}

    def __call__(self, name: str, make: Callable[..., nn.Module], *sizes: Hashable) -> nn.Module:
        """See :data:`nas_search.spaces.Pool`."""
        key = (name, *sizes)
        if key not in self._modules:
            with torch.device("meta"):
                module = make(*sizes)
            module = module.to_empty(device=self._device).eval()
            initialize(module, self._seed, self._scheme, self._draw, prefix=name)
            self._modules[key] = module
        return self._modules[key]
