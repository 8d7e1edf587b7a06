"""The engine's own kernels beside the plain forms: time by shape, and error against float64.

What is chosen on the device at hand, and what the library does when it is asked plainly. Errors are
the largest, of a few of the samples, relative to the largest number of a computation in float64 on
a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_search.kernels import depthwise_maps, guard, shifted_products
from nas_search.kernels.eigenvalues import eigenvalues
from nas_search.kernels.grams import grams_side_by_side
from nas_search.layers.convolution_gradient import (
    Geometry,
    grouped_weight_gradient,
    weight_gradient,
)

FEW = 4
"""Samples, edges or matrices that are compared."""


class Case(NamedTuple):
    """One kernel at one shape.

    Attributes:
        kernel: its name.
        shape: in words.
        inputs: on the device; those of the first :data:`FEW` come first along dimension ``axis``.
        plain: what the library does.
        chosen: what the engine does on this device.
        axis: of the inputs.
        name: of what may fail in ``chosen``.
    """

    kernel: str
    shape: str
    inputs: tuple[Tensor, ...]
    plain: Callable[..., Tensor]
    chosen: Callable[..., Tensor]
    axis: int = 0
    name: str = ""


def table(
    device: str, small: bool, timed: Callable[[Callable[[], object]], float]
) -> list[list[str]]:
    """Return the rows, and the header before them.

    Args:
        device: torch device.
        small: whether shapes are for a CPU.
        timed: returns the seconds of one call.
    """
    rows = [["kernel", "shape", "plain, ms", "chosen, ms", "error, plain", "error, chosen"]]
    for case in cases(device, small):
        times = [timed(partial(run, *case.inputs)) for run in (case.plain, case.chosen)]
        few = [own.narrow(case.axis, 0, min(FEW, own.shape[case.axis])) for own in case.inputs]
        exact = case.plain(*(own.cpu().double() for own in few))
        errors = [
            float((run(*case.inputs)[:FEW].cpu().double() - exact).abs().max() / exact.abs().max())
            for run in (case.plain, case.chosen)
        ]
        cells = [f"{1000 * own:.3f}" for own in times] + [f"{own:.0e}" for own in errors]
        why = guard.failure(case.name)
        cells[1] += f" ({why})" if why else ""
        rows.append([case.kernel, case.shape, *cells])
    return rows


def cases(device: str, small: bool) -> Iterator[Case]:
    """Yield every kernel at its shapes, those of one stack of full-size networks."""
    for edges, n, columns in (
        [(4, 6, 8192)]
        if small
        else [
            (16, 32, 16384),
            (64, 32, 16384),
            (256, 32, 16384),
            (256, 32, 4096),
            (64, 64, 16384),
        ]
    ):
        x = torch.randn(n, edges, columns, device=device)
        shape = f"{edges} of {n} x {columns}"
        yield Case("Gram matrices", shape, (x,), whole, grams_side_by_side, axis=1)
    for n, channels, side in (
        [(8, 4, 8)]
        if small
        else [
            (512, 16, 32),
            (512, 32, 16),
            (512, 64, 8),
            (2048, 16, 32),
            (2048, 64, 8),
        ]
    ):
        yield dense(n, channels, side, device)
    for n, channels, side, kernel, dilation in (
        [(8, 4, 8, 3, 1)]
        if small
        else [
            (512, 16, 32, 3, 1),
            (512, 16, 32, 5, 1),
            (512, 16, 32, 5, 2),
            (512, 32, 16, 5, 1),
            (512, 64, 8, 3, 1),
            (4096, 16, 32, 3, 1),
        ]
    ):
        yield depthwise(n, channels, side, kernel, dilation, device)
    for count, n in [(4, 8)] if small else [(2732, 32), (2732, 48), (2732, 64)]:
        rows = F.normalize(torch.randn(count, n, 2 * n, device=device), dim=2).double()
        yield Case(
            "eigenvalues",
            f"{count} of {n} x {n}",
            (rows @ rows.mT,),
            library_eigenvalues,
            eigenvalues,
        )


def whole(x: Tensor) -> Tensor:
    """Return the Gram matrices of values (n, E, P) in one product."""
    own = x.transpose(0, 1)
    return torch.bmm(own, own.mT)


def library_eigenvalues(matrices: Tensor) -> Tensor:
    """Return the eigenvalues as the library gives them."""
    values: Tensor = torch.linalg.eigvalsh(matrices)
    return values


def dense(n: int, channels: int, side: int, device: str) -> Case:
    """Return the weight gradients of 3 x 3 convolutions."""
    x, error = (torch.randn(n, channels, side, side, device=device) for _ in range(2))
    weight = torch.empty(channels, channels, 3, 3, device=device)
    g = Geometry((1, 1), (1, 1), (1, 1), 1)

    def plain(x: Tensor, error: Tensor) -> Tensor:
        return grouped_weight_gradient(x, error, weight.to(x), g)

    def chosen(x: Tensor, error: Tensor) -> Tensor:
        return weight_gradient(x, error, weight.to(x), g)

    assert device == "cpu" or shifted_products.worthwhile(x, weight, (1, 1), (1, 1), 1)
    return Case("weights, 3 x 3", f"{n} of {channels} x {side} x {side}", (x, error), plain, chosen)


def depthwise(n: int, channels: int, side: int, size: int, dilation: int, device: str) -> Case:
    """Return the weight gradients of depthwise convolutions."""
    x, error = (torch.randn(n, channels, side, side, device=device) for _ in range(2))
    weight = torch.empty(channels, 1, size, size, device=device)
    padding = dilation * (size // 2)
    g = Geometry((1, 1), (padding, padding), (dilation, dilation), channels)

    def plain(x: Tensor, error: Tensor) -> Tensor:
        return grouped_weight_gradient(x, error, weight.to(x), g)

    def chosen(x: Tensor, error: Tensor) -> Tensor:
        return weight_gradient(x, error, weight.to(x), g)

    shape = f"{n} of {channels} x {side} x {side}"
    kernel = f"weights, depthwise {size} x {size}" + (", dilated" if dilation > 1 else "")
    return Case(kernel, shape, (x, error), plain, chosen, name=depthwise_maps.NAME)
