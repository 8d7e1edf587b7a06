"""The laws of a layer rule, as tests to inherit.

Example of a complete test file::

    class TestMyLayer(LayerConformance):
        rule = "my_layer"

        def cases(self) -> list[LayerCase]:
            return [LayerCase(MyLayer(4), (4, 5, 6), macs=120)]

The module and the input of a case should be small: the suite computes their Jacobian.
"""

# ruff: noqa: D102  (a test's name says what it checks)

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.gradients import (
    GramSink,
    Normalization,
    Scheme,
    StackedParameters,
    per_sample_backward,
)
from nas_search.gradients.counting import count_network
from nas_search.gradients.ways import way_of
from nas_search.layers.recorder import Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.scoring import initialize
from nas_search.testing.gradients import MatrixSink, gradients_by_loop

SAMPLES, CANDIDATES = 4, 3
MODES: tuple[Normalization, ...] = ("sample", "frozen", "eval")


@dataclass(frozen=True)
class LayerCase:
    """A module of a kind under test, and its input.

    Attributes:
        module: module of one of the rule's kinds.
        shape: shape of the input of one sample.
        macs: multiply-accumulates for one sample, counted by hand.
        tokens: number of different tokens if the input is int64; 0 if it is real.
    """

    module: nn.Module
    shape: tuple[int, ...]
    macs: int = 0
    tokens: int = 0

    def input(self, samples: int, low: float = -2, high: float = 2, seed: int = 0) -> Tensor:
        """Return a random input (samples, ...), float64 in [low, high) or tokens."""
        generator = torch.Generator().manual_seed(seed)
        shape = samples, *self.shape
        if self.tokens:
            return torch.randint(self.tokens, shape, generator=generator)
        return torch.rand(shape, generator=generator, dtype=torch.float64) * (high - low) + low

    def layer(self, seed: int = 0) -> nn.Module:
        """Return a copy of the module in float64, in eval mode, with random values."""
        layer = copy.deepcopy(self.module).double().eval()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, values in layer.state_dict(keep_vars=True).items():
                if not values.is_floating_point():
                    continue
                if "var" in name:
                    values.uniform_(0.5, 2, generator=generator)
                else:
                    values.normal_(generator=generator)
        return layer


class _Network(nn.Module):
    """The layer between a linear layer and a classifier."""

    def __init__(self, case: LayerCase, layer: nn.Module, *, folded: int = 1) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        width = case.shape[-1]
        self.before = nn.Identity() if case.tokens else nn.Linear(width, width)
        self.layer, self.folded = layer, folded
        outputs = layer(case.input(1)).numel() * folded
        self.head = nn.Linear(outputs, 3)
        self.double().eval()
        with torch.no_grad():
            for module in (self.before, self.head):
                for parameter in module.parameters():
                    deviation = 1 / math.sqrt(parameter.shape[-1])
                    parameter.normal_(0, deviation, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        samples = len(x)
        if self.folded > 1:
            x = x.flatten(0, 1)
        y = self.layer(self.before(x))
        logits: Tensor = self.head(torch.tanh(y).reshape(samples, -1))
        return logits


class _AddedInPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x += 1
        return x


class _Twice(nn.Module):
    """A network that uses the layer on two inputs."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.shared = layer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shared(x) + 2 * self.shared(x.flip(1)).sin()
        return y


def _with_own_forward(layer: nn.Module, rule: LayerRule, function: Callable[..., Any]) -> nn.Module:
    """Return the layer as an instance of a subclass whose forward calls ``function``."""
    arguments = rule.arguments
    assert arguments is not None
    batch_norm = F.batch_norm

    def forward(self: nn.Module, x: Tensor) -> Any:
        if function is batch_norm:  # looked up when it is called: the reference replaces it
            own = {"training": self.training, "momentum": self.momentum}
            called: Callable[..., Any] = F.batch_norm
            return called(x, **(arguments(self) or {}), **own)
        return function(x, **(arguments(self) or {}))

    instance = copy.deepcopy(layer)
    instance.__class__ = type("Own" + type(layer).__name__, (type(layer),), {"forward": forward})
    return instance


class LayerConformance:
    """The laws of a registered layer rule; inherit it, set :attr:`rule`, define :meth:`cases`.

    Attributes:
        rule: the registered name of the rule under test.
    """

    rule: str

    def cases(self) -> list[LayerCase]:
        """Return modules with inputs: every setting that affects how gradients are computed."""
        raise NotImplementedError

    @property
    def record(self) -> LayerRule:
        """The rule."""
        return LAYERS.get(self.rule)

    def test_record_is_complete(self) -> None:
        record = self.record
        assert record.name == self.rule
        assert record.name.isidentifier()
        assert record.kinds or record.functions
        cases = self.cases()
        assert cases
        assert {type(case.module) for case in cases} == set(record.kinds)
        if any(True for case in cases for _ in case.module.parameters()):
            assert record.per_sample and record.stacked and record.initial_weights
        for case in cases:
            arguments = record.arguments(case.module) if record.arguments else {}
            assert arguments is not None, f"the rule does not cover {case.module}"
            weight = arguments.get(record.weight) if record.weight else None
            assert record.weight is None or isinstance(weight, nn.Parameter)

    def test_functions_compute_the_same_as_the_module(self) -> None:
        for case, layer in self._layers():
            x = case.input(SAMPLES)
            for function in self.record.functions:
                output = function(x.clone(), **self._arguments(layer))
                torch.testing.assert_close(output, layer(x), msg=f"{function} of {layer}")

    def test_gradients_equal_those_of_one_backward_pass_per_sample(self) -> None:
        for case, layer in self._layers():
            self._check_gradients(_Network(case, layer), case.input(SAMPLES), layer)

    def test_gradients_of_several_uses_are_summed(self) -> None:
        for case, layer in self._layers():
            network = _Network(case, _Twice(layer))
            # The reference freezes the statistics of only one of two uses.
            self._check_gradients(network, case.input(SAMPLES), layer, modes=("sample", "eval"))

    def test_rows_of_one_sample_may_be_folded_into_the_batch(self) -> None:
        for case, layer in self._layers():
            x = case.input(2 * SAMPLES).unflatten(0, (SAMPLES, 2))
            self._check_gradients(_Network(case, layer, folded=2), x, layer)

    def test_gradients_are_the_same_if_a_forward_calls_the_function(self) -> None:
        for function in self.record.functions:
            for case, layer in self._layers():
                changed = _with_own_forward(layer, self.record, function)
                self._check_gradients(_Network(case, changed), case.input(SAMPLES), layer)

    def test_output_may_be_changed_in_place(self) -> None:
        if self.record.per_sample is None:  # an activation may need its output
            return
        for case, layer in self._layers():
            network = _Network(case, nn.Sequential(layer, _AddedInPlace()))
            self._check_gradients(network, case.input(SAMPLES), layer)

    def test_stacked_candidates_compute_the_same_as_alone(self) -> None:
        if self.record.stacked is None:
            return
        for case, _ in self._layers():
            layers = [case.layer(seed) for seed in range(CANDIDATES)]
            x = [case.input(2, seed=seed) for seed in range(CANDIDATES)]
            shared = self._arguments(layers[0])
            for layer in layers:  # statistics belong to the network, not to a candidate
                for buffer, first in zip(layer.buffers(), layers[0].buffers(), strict=True):
                    buffer.copy_(first)
            per_candidate = {
                key: torch.stack([self._arguments(layer)[key] for layer in layers])
                .detach()
                .requires_grad_()
                for key, value in shared.items()
                if isinstance(value, nn.Parameter)
            }
            y = self.record.stacked(
                Stack(CANDIDATES, "eval"), torch.cat(x), **{**shared, **per_candidate}
            )
            alone = [layer(samples) for layer, samples in zip(layers, x, strict=True)]
            torch.testing.assert_close(y, torch.cat(alone), rtol=1e-10, atol=1e-12)
            if not per_candidate:
                continue
            together = _derivatives(y.tanh().sum(), list(per_candidate.values()))
            for number, layer in enumerate(layers):
                parameters = [self._arguments(layer)[key] for key in per_candidate]
                expected = _derivatives(alone[number].tanh().sum(), parameters)
                for order in range(2):
                    for stacked, gradient in zip(together[order], expected[order], strict=True):
                        torch.testing.assert_close(
                            stacked[number], gradient, rtol=1e-9, atol=1e-11, msg=str(layer)
                        )

    def test_second_derivatives_equal_those_of_the_network(self) -> None:
        if self.record.stacked is None:
            return
        for case, layer in self._layers():
            variants = [layer]
            if self.record.arguments and self.record.functions:
                function = self.record.functions[0]
                variants.append(_with_own_forward(layer, self.record, function))
            for variant in variants:
                network = _Network(case, variant)
                x = case.input(SAMPLES)
                labels = torch.arange(SAMPLES) % 3
                parameters = dict(network.named_parameters())
                expected = _derivatives(
                    F.cross_entropy(network(x), labels), list(parameters.values())
                )
                stacked = StackedParameters(network, parameters="all")
                with stacked.in_place("eval", x):
                    loss = F.cross_entropy(network(x), labels)
                    values = {use.parameter: value for use, value in stacked.values.items()}
                    derivatives = _derivatives(loss, [values[name] for name in parameters])
                for order in range(2):
                    for a, b in zip(derivatives[order], expected[order], strict=True):
                        torch.testing.assert_close(a[0], b, rtol=1e-9, atol=1e-11, msg=str(layer))

    def test_macs_equal_those_counted_by_hand(self) -> None:
        for case, layer in self._layers():
            x = case.input(1)
            counted = self.record.macs
            macs = counted(layer(x), x, **self._arguments(layer)) if counted else 0
            assert macs == case.macs, (layer, macs)
            params = sum(p.numel() for p in layer.parameters())
            for device in ("cpu", "meta"):
                counts = count_network(layer.to(device), case.input(3).to(device))
                assert (counts.params, counts.macs) == (params, 3 * case.macs), layer

    def test_saved_elements_equal_those_kept_by_autograd(self) -> None:
        if self.record.saved is None:
            return
        for case, layer in self._layers():
            x = case.input(2)
            if not case.tokens:
                x = (x.requires_grad_() * 1).view_as(x)
            state = {p.data_ptr() for p in (*layer.parameters(), *layer.buffers())}
            kept: dict[tuple[int, torch.Size], int] = {}

            def keep(value: Tensor, state: Any = state, kept: Any = kept) -> Tensor:
                if value.data_ptr() not in state:
                    kept[value.data_ptr(), value.shape] = value.numel()
                return value

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
                y = layer(x)
            saved = self.record.saved(y, x, **self._arguments(layer))
            assert saved == sum(kept.values()), (layer, kept)
            assert count_network(layer, x.detach()).saved == saved

    def test_every_parameter_has_an_initial_distribution(self) -> None:
        if self.record.initial_weights is None:
            return
        for case, layer in self._layers():
            network = nn.Sequential(layer.float())
            for scheme in get_args(Scheme):
                with torch.no_grad():
                    for parameter in network.parameters():
                        parameter.fill_(math.nan)
                initialize(network, 0, scheme)
                for name, parameter in network.named_parameters():
                    assert parameter.isfinite().all(), (case.module, scheme, name)

    def test_default_distribution_is_that_of_torch(self) -> None:
        if self.record.initial_weights is None:
            return
        for _, layer in self._layers():
            network, draws = nn.Sequential(copy.deepcopy(layer).float()), range(400)
            reset = getattr(network[0], "reset_parameters", None)
            assert reset is not None, f"{layer} has no reset_parameters to compare with"
            theirs: dict[str, list[Tensor]] = {}
            with torch.random.fork_rng():
                torch.manual_seed(0)
                for _ in draws:
                    reset()
                    for name, parameter in network.named_parameters():
                        theirs.setdefault(name, []).append(parameter.detach().clone())
            ours: dict[str, list[Tensor]] = {}
            for draw in draws:
                initialize(network, 0, "default", draw)
                for name, parameter in network.named_parameters():
                    ours.setdefault(name, []).append(parameter.detach().clone())
            for name, values in theirs.items():
                _check_same_distribution(torch.stack(values), torch.stack(ours[name]), str(layer))

    def _layers(self) -> Iterator[tuple[LayerCase, nn.Module]]:
        for case in self.cases():
            yield case, case.layer()

    def _arguments(self, layer: nn.Module) -> dict[str, Any]:
        return (self.record.arguments(layer) or {}) if self.record.arguments else {}

    def _check_gradients(
        self,
        network: nn.Module,
        x: Tensor,
        layer: nn.Module,
        modes: tuple[Normalization, ...] = MODES,
    ) -> None:
        labels = torch.arange(len(x)) % 3
        weight = self._arguments(layer).get(self.record.weight or "")
        local = next((n for n, p in layer.named_parameters() if p is weight), None)
        for mode in modes:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # every parameter has a batched way
                way = way_of(network, x, mode)
                assert way != "one_by_one", layer
                expected = gradients_by_loop(network, x, labels, mode)
                for parameters in ("weights", "all"):
                    sink, grams = MatrixSink(), GramSink()
                    per_sample_backward(
                        network,
                        x,
                        labels,
                        [sink, grams],
                        normalization=mode,
                        parameters=parameters,
                        way=way,
                    )
                    wanted = expected
                    if parameters == "weights":
                        wanted = {
                            name: rows
                            for name, rows in expected.items()
                            if name in ("before.weight", "head.weight")
                            or (
                                (local is not None and name.endswith("." + local))
                                and name.startswith("layer.")
                            )
                        }
                    assert sink.rows.keys() == wanted.keys() == grams.grams.keys(), layer
                    # Gradients that the layer cancels are zero up to rounding.
                    largest = max(float(rows.norm()) for rows in expected.values())
                    for name, rows in wanted.items():
                        scale = max(float(rows.norm()), 1e-4 * largest)
                        message = (layer, mode, name)
                        off = (sink.rows[name] - rows).norm()
                        assert off <= 1e-10 * scale, (*message, off / scale)
                        off = (grams.grams[name] - rows @ rows.T).norm()
                        assert off <= 1e-10 * scale**2, message
            assert all(parameter.grad is None for parameter in network.parameters())


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="sum")


def _derivatives(of: Tensor, values: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the first derivatives and those of the sum of their squares; zero if undefined."""
    first = torch.autograd.grad(
        of, values, create_graph=True, allow_unused=True, materialize_grads=True
    )
    squares = torch.stack([gradient.square().sum() for gradient in first]).sum()
    if not squares.requires_grad:
        return list(first), [torch.zeros_like(value) for value in values]
    second = torch.autograd.grad(squares, values, allow_unused=True, materialize_grads=True)
    return list(first), list(second)


def _check_same_distribution(theirs: Tensor, ours: Tensor, what: str) -> None:
    """Compare draws (R, ...) of two distributions: constant elements, and all others together."""
    constant = (theirs == theirs[0]).all(0)
    assert torch.equal(constant, (ours == ours[0]).all(0)), what
    assert torch.equal(theirs[0][constant], ours[0][constant]), what
    if constant.all():
        return
    a, b = (values[:, ~constant].flatten().sort().values for values in (theirs, ours))
    everywhere = torch.cat([a, b])
    below = [torch.searchsorted(v, everywhere, right=True) / len(v) for v in (a, b)]
    # The statistic of Kolmogorov and Smirnov.
    distance = float((below[0] - below[1]).abs().max())
    assert distance < 2 * math.sqrt(2 / len(a)), (what, distance)  # p < 0.001
    assert abs(float(a.abs().max() - b.abs().max())) < 0.2 * float(a.abs().max()), what
