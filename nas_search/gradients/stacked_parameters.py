"""Ordinary gradients, of any order, with respect to the parameters of each candidate.

Candidates of a population share the weights of whatever they have in common, and autograd adds up
what comes back to a shared tensor. Here every layer runs with a copy of its parameters for each
candidate whose samples it sees: a convolution of k candidates is one of k groups, with candidates
side by side in the channels. An ordinary network has one candidate, and one copy.

Per-sample gradients need none of this (:mod:`.backward`); it is for gradients of gradients, and for
sums over a batch where single samples are not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.gradients.backward import forwards_replaced
from nas_search.layers.batch_norm import differentiable
from nas_search.layers.convolution import geometry_of
from nas_search.layers.modes import Normalization, Parameters
from nas_search.layers.recorder import ParameterUse
from nas_search.stacked.candidates import candidates_of, one_after_another, side_by_side

Values = Callable[[Tensor], Tensor]


def _as_they_are(values: Tensor) -> Tensor:
    return values


class StackedParameters:
    """A copy of every parameter for each candidate that has it.

    Args:
        network: an ordinary network, or one of K candidates.
        parameters: which of them are differentiated, see :data:`.modes.Parameters`; with ``all``
            those of convolutions, linear layers and batch-norm.
        values: makes of a parameter's values those that the network runs with.

    Attributes:
        values: what each use of a parameter ran with, (k, ...) for its k candidates.
    """

    def __init__(
        self,
        network: nn.Module,
        parameters: Parameters = "weights",
        values: Values = _as_they_are,
    ) -> None:
        self.values: dict[ParameterUse, Tensor] = {}
        self._network, self._rows = network, candidates_of(network)
        self._every, self._made = parameters == "all", values

    @contextmanager
    def in_place(self, normalization: Normalization | None) -> Iterator[None]:
        """Let the network run with them; give it back as it was found.

        Args:
            normalization: statistics of batch-norm; None leaves batch-norm out.

        Raises:
            InputError: a convolution pads with something else than zeros.
        """
        rules: dict[nn.Module, Callable[[Tensor], Tensor]] = {}
        for name, module in self._network.named_modules():
            if isinstance(module, nn.Conv2d):
                rules[module] = partial(self._convolution, name, module)
            elif isinstance(module, nn.Linear):
                rules[module] = partial(self._linear, name, module)
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                if normalization is None:
                    rules[module] = _as_they_are
                else:
                    rules[module] = partial(self._batch_norm, name, module, normalization)
        with forwards_replaced(self._network, rules), torch.enable_grad():
            yield

    def gradients(
        self, of: Tensor, *, create_graph: bool = False, retain_graph: bool = False
    ) -> dict[ParameterUse, Tensor]:
        """Return d ``of`` / d values of every use that the scalar ``of`` depends on.

        With ``of`` a sum over candidates, row j of a gradient (k, ...) is that of the use's j-th
        candidate.
        """
        wanted = {use: values for use, values in self.values.items() if values.requires_grad}
        if not wanted or not of.requires_grad:
            return {}
        found = torch.autograd.grad(
            of,
            list(wanted.values()),
            create_graph=create_graph,
            retain_graph=create_graph or retain_graph,
            allow_unused=True,
        )
        return {use: g for use, g in zip(wanted, found, strict=True) if g is not None}

    def _convolution(self, name: str, module: nn.Conv2d, x: Tensor) -> Tensor:
        g, own = geometry_of(name, module), self._own(f"{name}.weight", module.weight, True)
        bias = self._own_or_none(f"{name}.bias", module.bias)
        candidates = len(own)
        y = F.conv2d(
            side_by_side(x, candidates),
            own.flatten(0, 1),
            None if bias is None else bias.flatten(),
            g.stride,
            g.padding,
            g.dilation,
            candidates * g.groups,
        )
        return one_after_another(y, candidates)

    def _linear(self, name: str, module: nn.Linear, x: Tensor) -> Tensor:
        own = self._own(f"{name}.weight", module.weight, True)
        bias = self._own_or_none(f"{name}.bias", module.bias)
        rows = x.reshape(len(own), -1, x.shape[-1])
        y = rows @ own.mT if bias is None else torch.baddbmm(bias[:, None], rows, own.mT)
        return y.reshape(*x.shape[:-1], -1)

    def _batch_norm(
        self,
        name: str,
        module: nn.BatchNorm1d | nn.BatchNorm2d,
        normalization: Normalization,
        x: Tensor,
    ) -> Tensor:
        scale = self._own_or_none(f"{name}.weight", module.weight)
        shift = self._own_or_none(f"{name}.bias", module.bias)
        return differentiable(name, module, self._rows, x, normalization, scale, shift)

    def _own_or_none(self, name: str, parameter: Tensor | None) -> Tensor | None:
        return None if parameter is None else self._own(name, parameter, self._every)

    def _own(self, name: str, parameter: Tensor, counts: bool) -> Tensor:
        """Return the copies of the candidates at hand, the same for every use of the parameter."""
        use = ParameterUse(name, self._rows.active)
        if use not in self.values:
            made = self._made(parameter.detach())
            self.values[use] = made.expand(len(use.members), *made.shape).requires_grad_(counts)
        return self.values[use]
