"""What the pass of per-sample gradients finds of one candidate: its kinds of results."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from nas_search.kernels.eigenvalues import eigenvalues


@dataclass(frozen=True)
class Grams:
    """Gram matrices of per-sample gradients.

    Attributes:
        layers: names of the L parameters that received gradient, in the network's order.
        grams: (L, n, n) Gram matrices G_l of the n per-sample gradients of each, float64.
    """

    layers: tuple[str, ...]
    grams: Tensor

    @cached_property
    def cosines(self) -> Tensor:
        """(n, n) cosines K between whole per-sample gradients; ones on the diagonal."""
        return normalized(self.grams.sum(0))

    @cached_property
    def layer_cosines(self) -> Tensor:
        """(L, n, n) cosines K_l between the per-sample gradients of each parameter alone."""
        return normalized(self.grams)

    @cached_property
    def layer_eigenvalues(self) -> Tensor:
        """(L, n) eigenvalues of :attr:`layer_cosines`, ascending; they sum to n in each row."""
        return eigenvalues(self.layer_cosines)


def normalized(gram: Tensor) -> Tensor:
    """Return cosines from Gram matrices (..., n, n): G_ij / sqrt(G_ii G_jj).

    A sample without gradient has no direction: its row and column are zero, its diagonal too.
    """
    norms = gram.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
    inverse = torch.where(norms > 0, 1 / norms, torch.zeros_like(norms))
    return gram * inverse[..., :, None] * inverse[..., None, :]


@dataclass(frozen=True)
class LayerFactors:
    """What the per-sample gradients of each weight are made of.

    A weight's gradient is made of what enters its layer and of the gradient that comes back to what
    leaves it: for a linear layer their outer product.

    Attributes:
        layers: names of the L weights that received gradient, in the network's order.
        inputs: (L, n, n) cosines between the samples' inputs to each layer, float64.
        errors: (L, n, n) cosines between the gradients of the samples' losses with respect to each
            layer's output, float64.
        sizes: (L,) number of elements of each weight, float64.
        labels: (n,) classes of the samples.
    """

    layers: tuple[str, ...]
    inputs: Tensor
    errors: Tensor
    sizes: Tensor
    labels: Tensor

    @cached_property
    def input_eigenvalues(self) -> Tensor:
        """(L, n) eigenvalues of :attr:`inputs`, ascending; they sum to n in each row."""
        return eigenvalues(self.inputs)

    @cached_property
    def error_eigenvalues(self) -> Tensor:
        """(L, n) eigenvalues of :attr:`errors`, ascending; they sum to n in each row."""
        return eigenvalues(self.errors)


@dataclass(frozen=True)
class Signs:
    """Agreement of the signs of per-sample gradients.

    Attributes:
        agreement: (L,) sum over the elements k of each parameter of |sum_i sign(dl_i/dtheta_k)|.
        sizes: (L,) number of elements of each parameter that received gradient.
    """

    agreement: Tensor
    sizes: Tensor


@dataclass(frozen=True)
class BatchGradient:
    """The gradient of the batch's mean loss: the mean of the samples' (shares of) gradients.

    Attributes:
        weights: the parameters that received gradient, by name.
        gradients: the gradient of each.
    """

    weights: dict[str, Tensor]
    gradients: dict[str, Tensor]


@dataclass(frozen=True)
class ChannelFisher:
    """Saliency of the channels of every convolution's and linear layer's output.

    Attributes:
        layers: for each layer that receives gradient, (O,): 1/2 mean_i (sum_hw a dL/da)^2 with a
            the output (n, O, H, W) and L the batch's mean loss.
        weights: number of weights of one output channel of each of these layers.
    """

    layers: tuple[Tensor, ...]
    weights: tuple[int, ...]
