"""Collects what the layer rules find during a backward pass and hands it to the sinks."""

from __future__ import annotations

from collections.abc import Sequence

from nas_search.gradients.gradient import DenseGradient, SampleGradient
from nas_search.gradients.sinks import Sink


class Recorder:
    """Hands each parameter's per-sample gradient to every sink, once.

    A parameter that is used several times in one forward pass has the sum of its uses as gradient:
    its contributions are added up before the sinks see them.

    Args:
        sinks: receivers of the gradients.
        every_parameter: whether biases and batch-norm's affine parameters are wanted too.
    """

    def __init__(self, sinks: Sequence[Sink], every_parameter: bool) -> None:
        self.every_parameter = every_parameter
        self._sinks = sinks
        self._uses: dict[str, int] = {}
        self._partial: dict[str, SampleGradient] = {}

    def used(self, parameter: str) -> None:
        """Note one use of ``parameter`` in the forward pass."""
        self._uses[parameter] = self._uses.get(parameter, 0) + 1

    def add(self, parameter: str, gradient: SampleGradient) -> None:
        """Take the gradient that one use of ``parameter`` contributes."""
        earlier = self._partial.pop(parameter, None)
        if earlier is not None:
            gradient = _sum(earlier, gradient)
        self._uses[parameter] -= 1
        if self._uses[parameter] > 0:
            self._partial[parameter] = gradient
        else:
            self._emit(parameter, gradient)

    def flush(self) -> None:
        """Hand over parameters of which some uses never received gradient."""
        for parameter, gradient in self._partial.items():
            self._emit(parameter, gradient)
        self._partial.clear()

    def _emit(self, parameter: str, gradient: SampleGradient) -> None:
        for sink in self._sinks:
            sink.add(parameter, gradient)


def _sum(first: SampleGradient, second: SampleGradient) -> SampleGradient:
    factors = None
    if first.factors is not None and second.factors is not None:
        factors = first.factors.and_also(second.factors)
    return DenseGradient(first.matrix() + second.matrix(), factors)
