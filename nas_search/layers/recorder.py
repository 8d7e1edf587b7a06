"""Collects what the layer rules find during a backward pass and hands it to the sinks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from nas_search.layers.sample_gradient import DenseGradient, SampleGradient
from nas_search.stacked.candidates import Candidates, Members


class ParameterUse(NamedTuple):
    """A parameter as it was used in the forward pass, and the candidates whose samples it saw."""

    parameter: str
    members: Members


class Sink(Protocol):
    """Receives the per-sample gradient of one parameter after another during a backward pass."""

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Take the gradient of ``parameter`` (its name in the network).

        Called once a parameter; in a population network once or more, for different candidates.

        Args:
            parameter: the parameter's name in the network.
            members: numbers of the k candidates whose samples these are, (0,) in an ordinary
                network.
            gradient: n rows of each of them.
        """
        ...


class Recorder:
    """Hands each parameter's per-sample gradient to every sink, once a candidate.

    A parameter that is used several times in one forward pass has the sum of its uses as gradient:
    its contributions are added up before the sinks see them. In a population network two uses see
    the same candidates, or none in common.

    Args:
        sinks: receivers of the gradients.
        every_parameter: whether biases and batch-norm's affine parameters are wanted too.
        rows: whose samples the layers see.
        low: whether convolutions compute in bfloat16.
    """

    def __init__(
        self, sinks: Sequence[Sink], every_parameter: bool, rows: Candidates, low: bool = False
    ) -> None:
        self.every_parameter = every_parameter
        self.low = low
        self._sinks = sinks
        self._rows = rows
        self._uses: dict[ParameterUse, int] = {}
        self._partial: dict[ParameterUse, SampleGradient] = {}

    @property
    def candidates(self) -> int:
        """Number k of candidates whose samples the layer at hand sees."""
        return len(self._rows.active)

    def used(self, parameter: str) -> ParameterUse:
        """Note one use of ``parameter`` in the forward pass."""
        use = ParameterUse(parameter, self._rows.active)
        self._uses[use] = self._uses.get(use, 0) + 1
        return use

    def add(self, use: ParameterUse, gradient: SampleGradient) -> None:
        """Take the gradient that one use of a parameter contributes."""
        earlier = self._partial.pop(use, None)
        if earlier is not None:
            gradient = _sum(earlier, gradient)
        self._uses[use] -= 1
        if self._uses[use] > 0:
            self._partial[use] = gradient
        else:
            self._emit(use, gradient)

    def flush(self) -> None:
        """Hand over parameters of which some uses never received gradient."""
        for use, gradient in self._partial.items():
            self._emit(use, gradient)
        self._partial.clear()

    def _emit(self, use: ParameterUse, gradient: SampleGradient) -> None:
        for sink in self._sinks:
            sink.add(use.parameter, use.members, gradient)


def _sum(first: SampleGradient, second: SampleGradient) -> SampleGradient:
    factors = None
    if first.factors is not None and second.factors is not None:
        factors = first.factors.and_also(second.factors)
    return DenseGradient(first.matrix() + second.matrix(), factors)
