"""Drop path: in training, an operation's output is dropped for single images at random.

Source: Larsson, Maire and Shakhnarovich, ICLR 2017, arXiv 1605.07648; as DARTS uses it, on every
operation of a cell but identities, the rest scaled up to keep the expectation.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.ops import stochastic_depth


class DropPath:
    """Drops the outputs of ``modules`` while they are in training mode.

    Attributes:
        rate: present probability, in [0, 1).
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.rate = 0.0
        for module in modules:
            module.register_forward_hook(self._drop)

    def _drop(self, module: nn.Module, _: object, output: Tensor) -> Tensor | None:
        if not module.training or self.rate == 0:
            return None
        kept: Tensor = stochastic_depth(output, self.rate, mode="row")
        return kept
