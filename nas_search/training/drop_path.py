"""Drop path: drops an operation's output for random images during training.

Source: Larsson, Maire and Shakhnarovich, ICLR 2017, arXiv 1605.07648; as in DARTS, on
every operation of a cell but identities; kept outputs are scaled up to keep the expectation.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class DropPath:
    """Drops outputs of ``modules`` while they are in train mode.

    Attributes:
        rate: current probability of a drop, in [0, 1).
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.rate = 0.0
        for module in modules:
            module.register_forward_hook(self._drop)

    def _drop(self, module: nn.Module, _: object, output: Tensor) -> Tensor | None:
        if not module.training or self.rate == 0:
            return None
        from torchvision.ops import stochastic_depth  # imported here: it takes seconds

        dropped: Tensor = stochastic_depth(output, self.rate, mode="row")
        return dropped
