"""The reference of per-sample gradients: one forward and one backward pass per sample.

Networks run by their own forwards; batch-norm alone is replaced, by its formula written out with
the statistics that were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.gradients.objective import Objective
from nas_search.layers.derived import sources
from nas_search.layers.sample_gradient import SampleGradient
from nas_search.stacked.candidates import Members


class MatrixSink:
    """Keeps full per-sample gradients, for tests of small networks.

    Attributes:
        rows: (n, P) by parameter.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Tensor] = {}

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Store the rows of ``gradient``."""
        assert parameter not in self.rows
        assert members == (0,)
        self.rows[parameter] = gradient.matrix()


def gradients_by_loop(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    mode: str,
    objective: Objective = F.cross_entropy,
) -> dict[str, Tensor]:
    """Return (n, P) gradients by parameter name; parameters without gradient are left out.

    Args:
        network: any network; it is given back as it was found.
        images: (n, ...), images or tokens.
        labels: (n, ...).
        mode: batch-norm statistics under which samples are independent: sample, frozen or eval.
        objective: takes the logits and labels of one sample.
    """
    training = {module: module.training for module in network.modules()}
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    rows: dict[str, list[Tensor]] = {}
    network.train().eval()  # some keep tables of biases for evaluation
    with statistics(network, images, mode) as restart:
        for number in range(len(images)):
            restart()
            network.train().eval()
            logits = network(images[number : number + 1])
            loss = objective(logits, labels[number : number + 1]).sum()
            found = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True)
            for (name, p), gradient in zip(named, found, strict=True):
                if gradient is not None:
                    own = rows.setdefault(name, [])
                    own += [torch.zeros(p.numel(), dtype=p.dtype)] * (number - len(own))
                    own.append(gradient.to_dense().flatten())
    for module, mode_before in training.items():
        module.training = mode_before
    return {
        name: torch.stack(own + [torch.zeros_like(own[0])] * (len(images) - len(own)))
        for name, own in rows.items()
    }


@contextmanager
def statistics(network: nn.Module, images: Tensor, mode: str) -> Iterator[Callable[[], Any]]:
    """Let every call of ``F.batch_norm`` use the statistics of ``mode``.

    Yields:
        What has to be called before each forward pass.
    """
    calls: list[tuple[Tensor, Tensor]] = []
    place = 0
    ordinary = F.batch_norm

    def restart() -> None:
        nonlocal place
        place = 0

    def normalize(
        observing: bool,
        x: Tensor,
        running_mean: Any,
        running_var: Any,
        weight: Any = None,
        bias: Any = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        nonlocal place
        if _made_of_parameters(x):  # weights that are standardized
            return ordinary(x, running_mean, running_var, weight, bias, training, momentum, eps)
        mean, variance = running_mean, running_var
        if observing or mode == "sample":
            own = x.transpose(0, 1).flatten(1)
            mean, variance = own.mean(1), own.var(1, correction=0)
        elif mode == "frozen":
            mean, variance = calls[place]
            place += 1
        if observing:
            calls.append((mean.detach(), variance.detach()))
        # Written out: the library's own code has a wrong gradient for some inputs of one sample.
        shape = (-1,) + (1,) * (x.dim() - 2)
        y: Tensor = (x - mean.view(shape)) / (variance.view(shape) + eps).sqrt()
        y = y if weight is None else y * weight.view(shape)
        return y if bias is None else y + bias.view(shape)

    if mode == "frozen":
        with mock.patch.object(F, "batch_norm", partial(normalize, True)):
            network(images)
    with mock.patch.object(F, "batch_norm", partial(normalize, False)):
        yield restart


def _made_of_parameters(x: Tensor) -> bool:
    """Say whether ``x`` is one parameter, reshaped: no layer's output is."""
    leaves = sources(x)
    return len(leaves) == 1 and leaves[0].numel() == x.numel()
