"""Collects what the layer rules find during a backward pass and hands it to the sinks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.layers.derived import gradients_of_rows, matrices, pulled_back, sources
from nas_search.layers.modes import Normalization
from nas_search.layers.sample_gradient import DenseGradient, Factors, SampleGradient
from nas_search.stacked.candidates import Candidates, Members


class ParameterUse(NamedTuple):
    """A parameter as it was used in the forward pass, and the candidates whose samples it saw."""

    parameter: str
    members: Members


class Sink(Protocol):
    """Receives the per-sample gradient of one parameter after another during a backward pass."""

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Take the gradient of ``parameter`` (its name in the network).

        Called once per parameter; in a stacked network once or more, for different candidates.

        Args:
            parameter: the parameter's name in the network.
            members: numbers of the k candidates whose samples these are, (0,) in an ordinary
                network.
            gradient: n rows of each of them.
        """
        ...


@dataclass(frozen=True)
class Stack:
    """What a layer's stacked form must know of the batch that it sees.

    Attributes:
        candidates: number k of candidates whose samples these are.
        normalization: statistics of batch-norm; None leaves batch-norm out.
        layer: name of the layer, for messages.
        samples: number n of samples of each candidate; None where every row is a sample.
    """

    candidates: int
    normalization: Normalization | None
    layer: str = ""
    samples: int | None = None

    def rows_per_sample(self, x: Tensor) -> int:
        """Return how many rows of ``x`` (m, ...) belong to one sample, 1 or more."""
        if self.samples is None:
            return 1
        return max(1, len(x) // (self.candidates * self.samples))


class Recording(NamedTuple):
    """Whose gradient one use of a tensor contributes to.

    Attributes:
        uses: the parameters that the tensor is, or is made of.
        tensor: what was used: the parameter itself, or what the network made of parameters, e.g. a
            standardized weight.
        derived: whether the tensor is made of parameters.
    """

    uses: tuple[ParameterUse, ...]
    tensor: Tensor
    derived: bool


class Recorder:
    """Passes each parameter's per-sample gradient to every sink, once per candidate.

    A parameter that is used several times in one forward pass has the sum of its uses as gradient:
    its contributions are added up before the sinks see them. In a stacked network two uses see the
    same candidates, or none in common.

    Args:
        sinks: receivers of the gradients.
        parameters: names of the network's parameters by identity.
        samples: number n of samples of each candidate.
        candidates: whose samples the layers see.
        normalization: statistics of batch-norm.
        every_parameter: whether biases, scales and shifts are wanted too.
        low: whether convolutions compute in bfloat16.
        counted: names of the parameters that are wanted, where it was found out before; else what
            layers use as a weight is, or everything with ``every_parameter``.

    Attributes:
        layer: name of the layer at hand, for messages.
        skip: names of parameters whose gradients are found in another way.
        multiplied: names of the parameters that inputs were multiplied with so far.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        parameters: Mapping[int, str],
        samples: int,
        candidates: Candidates,
        normalization: Normalization = "sample",
        every_parameter: bool = False,
        low: bool = False,
        counted: frozenset[str] | None = None,
    ) -> None:
        self.normalization: Normalization = normalization
        self.every_parameter = every_parameter
        self.low = low
        self.layer = ""
        self.skip: frozenset[str] = frozenset()
        self.multiplied: set[str] = set()
        self._counted = counted
        self._sinks = sinks
        self._parameters = parameters
        self._samples = samples
        self._candidates = candidates
        self._uses: dict[ParameterUse, int] = {}
        self._partial: dict[ParameterUse, SampleGradient] = {}

    @property
    def candidates(self) -> int:
        """Number k of candidates whose samples the layer at hand sees."""
        return len(self._candidates.active)

    @property
    def rows(self) -> int:
        """Number k n of samples that the layer at hand sees."""
        return self.candidates * self._samples

    @property
    def used_parameters(self) -> set[str]:
        """Names of the parameters that were used and are wanted."""
        return {use.parameter for use in self._uses}

    def rows_per_sample(self, x: Tensor) -> int:
        """Return how many rows of ``x`` (m, ...) belong to one sample, 1 or more.

        Windows, patches or tokens may be folded into the batch dimension, those of a sample one
        after another.

        Raises:
            InputError: the rows cannot be told apart by sample.
        """
        per_sample, rest = divmod(len(x), self.rows)
        if rest or not per_sample:
            raise InputError(
                f"layer '{self.layer}' sees {len(x)} rows of {self.rows} samples; "
                "samples must come first"
            )
        return per_sample

    def full(self, x: Tensor) -> Tensor:
        """Return ``x`` in the network's own precision, for layers that need it."""
        return x.float() if self.low else x

    def used(self, tensor: Tensor | None, *, weight: bool = False) -> Recording | None:
        """Note one use of ``tensor`` in the forward pass.

        Args:
            tensor: a parameter, or what the network made of parameters.
            weight: whether it is a weight that inputs are multiplied with.

        Returns:
            What :meth:`add` takes with its gradient; None where it is not wanted.
        """
        if tensor is None or not tensor.requires_grad:
            return None
        if self._counted is None and not (weight or self.every_parameter):
            return None
        name = self._parameters.get(id(tensor))
        weights = self.note_weight(tensor) if weight else ()
        if self._counted is not None:
            names = tuple(name for name in self.names_behind(tensor) if name in self._counted)
        else:
            names = self.names_behind(tensor) if self.every_parameter else weights
        wanted = tuple(ParameterUse(name, self._candidates.active) for name in names)
        for use in wanted:
            self._uses[use] = self._uses.get(use, 0) + 1
        return Recording(wanted, tensor, derived=name is None) if wanted else None

    def note_weight(self, tensor: Tensor) -> tuple[str, ...]:
        """Note that inputs are multiplied with ``tensor``; return the names of the weights in it.

        What a tensor is made of counts where it is a matrix itself; gains, masks and biases do not.
        """
        name = self._parameters.get(id(tensor))
        leaves = [tensor] if name is not None else matrices(tensor)
        found = (self._parameters.get(id(leaf)) for leaf in leaves)
        names = tuple(name for name in found if name is not None)
        self.multiplied.update(names)
        return names

    def names_behind(self, tensor: Tensor) -> tuple[str, ...]:
        """Return the names of the parameters that ``tensor`` is or is made of."""
        name = self._parameters.get(id(tensor))
        if name is not None:
            return (name,)
        found = (self._parameters.get(id(parameter)) for parameter in sources(tensor))
        return tuple(name for name in found if name is not None)

    def add(self, recording: Recording, gradient: SampleGradient) -> None:
        """Take the gradient that one use of a tensor contributes; rows of a sample are summed."""
        gradient = gradient.by_sample(len(recording.uses[0].members) * self._samples)
        if not recording.derived:
            self._take(recording.uses[0], gradient)
            return
        factors = gradient.factors if len(recording.uses) == 1 else None
        self._take_each(recording, pulled_back(recording.tensor, gradient.matrix()), factors)

    def add_own_rows(self, recording: Recording, error: Tensor, axis: int) -> None:
        """Take the gradient of a tensor whose rows along ``axis`` belong to one sample each.

        Args:
            recording: the use of the tensor.
            error: gradient with respect to the tensor, of its shape.
            axis: where the samples lie, those of a sample one after another.
        """
        rows = gradients_of_rows(recording.tensor, error, axis, self.rows)
        self._take_each(recording, rows, None)

    def _take_each(
        self, recording: Recording, by_parameter: dict[Tensor, Tensor], factors: Factors | None
    ) -> None:
        rows = {self._parameters.get(id(p)): found for p, found in by_parameter.items()}
        for use in recording.uses:
            self._take(use, DenseGradient(rows[use.parameter], factors))

    def add_rows(self, name: str, rows: Tensor) -> None:
        """Take the whole gradient (n, P) of a parameter of an ordinary network."""
        self._emit(ParameterUse(name, self._candidates.all), DenseGradient(rows))

    def flush(self) -> None:
        """Hand over parameters of which some uses never received gradient."""
        for use, gradient in self._partial.items():
            self._emit(use, gradient)
        self._partial.clear()

    def _take(self, use: ParameterUse, gradient: SampleGradient) -> None:
        earlier = self._partial.pop(use, None)
        if earlier is not None:
            gradient = _sum(earlier, gradient)
        self._uses[use] -= 1
        if use.parameter in self.skip:
            return
        if self._uses[use] > 0:
            self._partial[use] = gradient
        else:
            self._emit(use, gradient)

    def _emit(self, use: ParameterUse, gradient: SampleGradient) -> None:
        for sink in self._sinks:
            sink.add(use.parameter, use.members, gradient)


def _sum(first: SampleGradient, second: SampleGradient) -> SampleGradient:
    factors = None
    if first.factors is not None and second.factors is not None:
        factors = first.factors.and_also(second.factors)
    return DenseGradient(first.matrix() + second.matrix(), factors)
