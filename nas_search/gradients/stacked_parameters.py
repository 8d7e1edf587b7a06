"""Ordinary gradients, of any order, with respect to the parameters of each candidate.

Candidates of a stack share the weights of whatever they have in common, and autograd adds up what
comes back to a shared tensor. Here every layer runs by its rule's stacked form, with a copy of its
parameters for each candidate whose samples it sees. An ordinary network, whatever it does, runs as
it is with one copy of each parameter in its place.

Per-sample gradients need none of this (:mod:`.backward`); it is for gradients of gradients, and for
sums over a batch where single samples are not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients.counted import multiplied_weights, weights_of
from nas_search.gradients.forwards import (
    Form,
    has_own_forwards,
    normalized_network,
    running_by,
)
from nas_search.layers.modes import Normalization, Parameters
from nas_search.layers.recorder import ParameterUse, Stack
from nas_search.layers.rule import LayerRule
from nas_search.stacked.candidates import candidates_of
from nas_search.stacked.network import StackedNetwork

Values = Callable[[Tensor], Tensor]


def _as_they_are(values: Tensor) -> Tensor:
    return values


class StackedParameters:
    """A copy of every parameter for each candidate that has it.

    Args:
        network: an ordinary network, or one of K candidates.
        parameters: those that are differentiated, see :data:`nas_search.layers.modes.Parameters`.
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
        self._network, self._candidates = network, candidates_of(network)
        self._every, self._made = parameters == "all", values
        self._counted: frozenset[str] = frozenset()
        self._names = {id(p): name for name, p in network.named_parameters()}

    @contextmanager
    def in_place(self, normalization: Normalization | None, samples: Tensor) -> Iterator[None]:
        """Let the network run with them; give it back as it was found.

        Args:
            normalization: statistics of batch-norm; None leaves batch-norm out.
            samples: the network's input, (n, ...).

        Raises:
            InputError: a stacked network has parameters outside the layers of the book.
        """
        self._counted = self._names_that_count(samples)
        if not isinstance(self._network, StackedNetwork):
            with (
                self._attributes_replaced(),
                normalized_network(self._network, normalization),
                torch.enable_grad(),
            ):
                yield
            return
        if has_own_forwards(self._network):
            raise InputError(
                f"{type(self._network).__name__} has parameters outside the layers that are known: "
                "its candidates must be scored one at a time (executor.stack=1)"
            )
        with running_by(self._network, self._form(normalization)), torch.enable_grad():
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

    def _form(self, normalization: Normalization | None) -> Callable[[LayerRule], Form | None]:
        def form_of(rule: LayerRule) -> Form | None:
            if rule.stacked is None:
                return None
            stacked = rule.stacked

            def run(name: str, *args: Any, **arguments: Any) -> Tensor:
                stack = Stack(len(self._candidates.active), normalization, name)
                args = tuple(self._own_where_parameter(value) for value in args)
                own = {key: self._own_where_parameter(v) for key, v in arguments.items()}
                return stacked(stack, *args, **own)

            return run

        return form_of

    def _own_where_parameter(self, value: Any) -> Any:
        return self._own(value) if isinstance(value, nn.Parameter) else value

    def _own(self, parameter: nn.Parameter) -> Tensor:
        """Return the copies of the candidates at hand, the same for every use of the parameter."""
        use = ParameterUse(self._names[id(parameter)], self._candidates.active)
        if use not in self.values:
            made = self._made(parameter.detach())
            counts = use.parameter in self._counted and parameter.requires_grad
            self.values[use] = made.expand(len(use.members), *made.shape).requires_grad_(counts)
        return self.values[use]

    @contextmanager
    def _attributes_replaced(self) -> Iterator[None]:
        """Let the modules of an ordinary network have the copies in place of their parameters."""
        replaced: list[tuple[nn.Module, str, nn.Parameter]] = []
        flat: list[tuple[nn.RNNBase, list[Any]]] = []
        try:
            for module in self._network.modules():
                for name, parameter in list(module._parameters.items()):
                    if parameter is not None:
                        own = self._own(parameter)
                        del module._parameters[name]
                        replaced.append((module, name, parameter))
                        module.__dict__[name] = own[0]
                if isinstance(module, nn.RNNBase):  # it keeps a list of its parameters
                    flat.append((module, module._flat_weights))
                    module._flat_weights = [module.__dict__[n] for n in module._flat_weights_names]
            yield
        finally:
            for module, name, parameter in replaced:
                module.__dict__.pop(name, None)
                module._parameters[name] = parameter
            for module, weights in flat:
                module._flat_weights = weights

    def _names_that_count(self, samples: Tensor) -> frozenset[str]:
        """Return the names of the parameters that are differentiated."""
        if self._every:
            return frozenset(self._names.values())
        if isinstance(self._network, StackedNetwork):
            weights = weights_of(self._network)
            return frozenset(name for key, name in self._names.items() if key in weights)
        like = next(self._network.parameters())
        return multiplied_weights(
            self._network, samples.to(like.dtype) if samples.is_floating_point() else samples
        )
