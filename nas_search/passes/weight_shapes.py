"""The pass of the weights' shapes: a network as the matrices that it multiplies with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from nas_search.passes.base import PASSES, Outcome, Pass, Subject
from nas_search.passes.paths import layers_of_each


@dataclass(frozen=True)
class WeightShapes:
    """The weight matrices of all convolutions and linear layers, used or not.

    Attributes:
        shapes: (outputs, inputs, how many) of each layer, in the network's order. A convolution is
            the matrix that takes a patch, (C_out, C_in k^2), and one matrix per group.
    """

    shapes: tuple[tuple[int, int, int], ...]


def look_at_shapes(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Return the shapes of each candidate's weights."""
    layers = dict(subject.network.named_modules())
    return [
        [WeightShapes(tuple(shape for name in own for shape in shapes_of(layers[name])))]
        for own in layers_of_each(subject.network, subject.images)
    ]


def shapes_of(module: nn.Module) -> tuple[tuple[int, int, int], ...]:
    """Return (outputs, inputs, how many) of a module's own matrices.

    The projections of a :class:`torch.nn.MultiheadAttention` are those of each head; its last one
    is a linear layer of its own.
    """
    if isinstance(module, nn.MultiheadAttention):
        head = module.embed_dim // module.num_heads
        widths = (module.embed_dim, module.kdim, module.vdim)
        return tuple((head, width, module.num_heads) for width in widths)
    if isinstance(module, _ConvNd):
        outputs, inputs = module.out_channels, module.in_channels
        if isinstance(module, _ConvTransposeNd):
            outputs, inputs = inputs, outputs  # its transpose is a convolution
        groups = module.groups
        return ((outputs // groups, inputs // groups * prod(module.kernel_size), groups),)
    if isinstance(module, nn.Linear):
        return ((module.out_features, module.in_features, 1),)
    return ()


PASSES.add(
    Pass(name="weight_shapes", run=look_at_shapes, provides=(WeightShapes,), network="complete")
)
