"""``flash``: bytes of read-only memory that a microcontroller needs for network and runtime.

Batch-norm is folded into the convolution before it, as every converter does, which leaves one bias
per output channel. By type of the deployed network (``dtype``):

- ``float32``: 4 bytes per weight and per bias.
- ``int8``: 1 byte per weight and 4 bytes per bias (int32). Weights are quantized per output
  channel, and weights and biases each store a scale (float32, 4 bytes) and a zero point (int64,
  8 bytes) per channel: 28 bytes per channel in all. Sources: TensorFlow Lite's quantization
  specification, and ``QuantizationParameters`` in its ``schema.fbs``.

The runtime adds :data:`RUNTIME` bytes. The names and shapes in the model's file, some 100 bytes per
operation, and kernels of rare operations are not counted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from nas_search.costs.at import At
from nas_search.costs.base import COSTS, CostRecord
from nas_search.costs.trace import trace_part
from nas_search.spaces import Part, SearchSpace

RUNTIME = 22 * 1024
"""Bytes of the runtime: TensorFlow Lite for Microcontrollers on a Cortex M3 with the operators of a
small convolutional network, 16 KB of them the core (tensorflow.org/lite/microcontrollers)."""

BYTES = {"float32": (4, 4), "int8": (1, 28)}
"""Bytes per weight and per output channel, by type."""


def flash(space: SearchSpace[Any], genotype: Any, at: At) -> float:
    """Return the bytes: a sum over the parts of the network, and the runtime."""
    weight, channel = BYTES[at.dtype]
    total = RUNTIME
    parts = space.parts(genotype, at.input_shape, at.num_classes, **at.macro)
    for part, times in parts.items():
        weights, channels = _of_part(part)
        total += times * (weight * weights + channel * channels)
    return total


@lru_cache(maxsize=16384)
def _of_part(part: Part) -> tuple[int, int]:
    """Return the weights of convolutions and linear layers, and their output channels."""
    steps = trace_part(part).steps
    return sum(step.weights for step in steps), sum(step.channels for step in steps)


COSTS.add(
    CostRecord(
        "flash",
        "bytes",
        flash,
        "bytes of weights, biases, quantization parameters and the runtime",
        "TensorFlow Lite's quantization specification and schema",
    )
)
