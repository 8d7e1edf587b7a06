"""Several NAS-Bench-Macro networks in one: each operation runs once per layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_search.spaces.nas_bench_macro.network import (
    HEAD,
    NasBenchMacroSizes,
    Place,
    head,
    layer,
    places,
    stem,
)
from nas_search.stacked.candidates import Candidates
from nas_search.stacked.network import Pool, StackedNetwork, apply_to_members, device_of
from nas_search.stacked.routing import Edge, Routing, Step

OUTPUT = 1
"""A layer's output, after node 0, its input."""


class StackedLayer(nn.Module):
    """A layer that runs each operation on the samples of the candidates that have it."""

    def __init__(
        self,
        name: str,
        operations: Sequence[str],
        place: Place,
        pool: Pool,
        candidates: Candidates,
        device: torch.device,
    ) -> None:
        super().__init__()
        self._candidates = candidates
        edges = [[Edge(OUTPUT, 0, operation, place.stride, 0)] for operation in operations]
        self._routing = Routing(edges, device)
        for step in self._routing.steps[OUTPUT]:
            own = step.operation
            self.add_module(own, pool(f"{name}.{own}", layer, own, *place[:3]))

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, n, inputs, H, W) to (K, n, outputs, ...)."""
        return self._routing.run([x], [OUTPUT], self._run_step, lambda: x.new_zeros(x.shape))[0]

    def _run_step(self, node: int, step: Step, x: Tensor) -> Tensor:
        module = self.get_submodule(step.operation)
        return apply_to_members(self._candidates, step.members, module, x)


class StackedNasBenchMacro(StackedNetwork):
    """See :class:`nas_search.stacked.network.StackedNetwork`."""

    def __init__(
        self,
        candidates: Sequence[Sequence[str]],
        sizes: NasBenchMacroSizes,
        input_shape: tuple[int, int, int],
        num_classes: int,
        pool: Pool,
    ) -> None:
        super().__init__(len(candidates))
        image_channels, height, width = input_shape
        found = places((height, width), sizes.channels)
        self.stem = pool("stem", stem, image_channels, sizes.channels)
        device = device_of(self.stem)
        self.cells = nn.ModuleList(
            StackedLayer(
                f"cells.{number}",
                [operations[number] for operations in candidates],
                place,
                pool,
                self.candidates,
                device,
            )
            for number, place in enumerate(found)
        )
        self.head = pool("head", head, found[-1].outputs, HEAD * sizes.channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (K n, num_classes) of ``images`` (n, channels, H, W)."""
        x = self.stem(self.fold(images)).unflatten(0, (len(self.candidates), -1))
        for cell in self.cells:
            x = cell(x)
        logits: Tensor = self.head(x.flatten(0, 1))
        return logits
