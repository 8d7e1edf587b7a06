"""What runs when a network runs: its operations in order, with shapes, on the meta device.

Operations are torch's functions, so a convolution is one whatever module calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from nas_search.spaces import Part

MULTIPLYING = (
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    *("linear", "matmul", "bmm", "einsum", "addmm", "mm", "baddbmm"),
)
"""Functions that multiply by weights, or activations with each other."""


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        name: the function's name, e.g. ``conv2d``.
        shapes: what distinguishes its speed: shapes of inputs, weights and outputs, and settings.
        reads: numbers of the buffers that it reads; views of a buffer are that buffer.
        writes: numbers of the buffers that it makes.
        weights: elements of the weights it reads, biases and batch-norm's excluded.
        channels: output channels of those weights; 0 where it has none.
    """

    name: str
    shapes: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    weights: int
    channels: int


@dataclass(frozen=True)
class Trace:
    """What one image runs through.

    Attributes:
        steps: the operations, in the order in which the network calls them; views are left out.
        sizes: elements of each buffer for one image; buffer 0 is the image.
        outputs: numbers of the buffers that are the result.
    """

    steps: tuple[Step, ...]
    sizes: tuple[int, ...]
    outputs: tuple[int, ...]


class _Recorder(TorchFunctionMode):
    """Writes down every function of activations."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        super().__init__()
        self._constants = {_address(t) for t in (*network.parameters(), *network.buffers())}
        self._kept: list[Tensor] = []  # a storage that is freed would give its address to another
        self._numbers: dict[int, int] = {}
        self.steps: list[Step] = []
        self.sizes: list[int] = []
        self._number(image)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        made = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        if made:
            leaves = tree_leaves((args, kwargs))
            read = [t for t in leaves if isinstance(t, Tensor)]
            weights = [t for t in read if _address(t) in self._constants]
            inputs = [t for t in read if _address(t) not in self._constants]
            if inputs:
                settings = [one for one in leaves if not isinstance(one, Tensor)]
                self._record(func, inputs, weights, made, settings)
            elif weights:  # a function of weights alone is a weight
                self._constants |= {_address(t) for t in made}
                self._kept += made
            else:  # a constant, such as zeros for a node without inputs
                self._numbers_of(made)
        return result

    def _record(
        self,
        func: Any,
        inputs: list[Tensor],
        weights: list[Tensor],
        made: list[Tensor],
        settings: list[Any],
    ) -> None:
        reads, before = self._numbers_of(inputs), len(self.sizes)
        writes = self._numbers_of(made)
        if all(number < before for number in writes):
            return  # a view, or an operation in place
        name = getattr(func, "__name__", str(func)).strip("_")
        multiplies = name in MULTIPLYING and bool(weights)
        shapes = [*inputs, *(weights[:1] if multiplies else []), *made]
        text = " ".join("x".join(map(str, t.shape)) for t in shapes)
        self.steps.append(
            Step(
                name=name,
                shapes=" ".join([text, *map(str, settings)]),
                reads=reads,
                writes=writes,
                weights=weights[0].numel() if multiplies else 0,
                channels=made[0].shape[1] if multiplies else 0,
            )
        )

    def _numbers_of(self, tensors: Sequence[Tensor]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(map(self._number, tensors)))

    def buffers_of(self, result: Any) -> tuple[int, ...]:
        """Return the numbers of the buffers of a result."""
        return self._numbers_of([t for t in tree_leaves(result) if isinstance(t, Tensor)])

    def _number(self, tensor: Tensor) -> int:
        address = _address(tensor)
        if address not in self._numbers:
            self._kept.append(tensor)
            self._numbers[address] = len(self.sizes)
            self.sizes.append(tensor.numel())
        return self._numbers[address]


def _address(tensor: Tensor) -> int:
    with torch._C.DisableTorchFunction():
        return int(tensor.untyped_storage()._cdata)


def trace(network: nn.Module, input_shape: tuple[int, int, int]) -> Trace:
    """Run ``network``, on the meta device, on one image in eval mode and write its operations down.

    Args:
        network: a module on the meta device; it stays in eval mode.
        input_shape: (channels, height, width) of the image.
    """
    image = torch.empty(1, *input_shape, device="meta")
    recorder = _Recorder(network.eval(), image)
    with torch.no_grad(), recorder:
        result = network(image)
    return Trace(tuple(recorder.steps), tuple(recorder.sizes), recorder.buffers_of(result))


@lru_cache(maxsize=16384)
def trace_part(part: Part) -> Trace:
    """Return the trace of a part; one that only training runs has no steps."""
    if part.training:
        return Trace((), (0,), ())
    with torch.device("meta"):
        module = part.make(*part.args)
    return trace(module, part.input_shape)
