"""Drop path: drops an operation's output for random images during training.

Source: Larsson, Maire and Shakhnarovich, ICLR 2017, arXiv 1605.07648; as in DARTS, on
every operation of a cell but identities; kept outputs are scaled up to keep the expectation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class DropPath:
    """Drops outputs of ``modules`` while they are in train mode.

    The rate lies on the device: kernels that were recorded read what it is when they run.

    Args:
        modules: whose outputs.
        most: the highest rate that will be set, in [0, 1); 0 leaves the modules alone.
        device: where they are.
    """

    def __init__(self, modules: Sequence[nn.Module], most: float, device: str = "cpu") -> None:
        self._rate = 0.0
        self._kept = torch.ones((), device=device)
        for module in modules if most else ():
            module.register_forward_hook(self._drop)

    def set_rate(self, rate: float) -> None:
        """Drop with probability ``rate``, in [0, 1), from now on."""
        self._rate = rate
        self._kept.fill_(1 - rate)

    def _drop(self, module: nn.Module, _: object, output: Tensor) -> Tensor | None:
        # On a GPU a rate of 0 draws too: the kernels may be recorded, for later rates as well.
        if not module.training or (self._rate == 0 and output.device.type == "cpu"):
            return None
        shape = (len(output), *(1,) * (output.ndim - 1))
        stays = torch.rand(shape, device=output.device) < self._kept
        return output * (stays / self._kept).to(output.dtype)
