"""Eigenvalues of many symmetric matrices at once on a GPU.

A GPU's library takes matrices of more than 32 x 32 one after another: 2,732 of 64 x 64 took 870 ms
on an H200, in 60,000 launches. Here all of them are brought to tridiagonal form together, a column
at a time (Householder), and all eigenvalues are then enclosed together by counting the sign changes
of Sturm sequences (Golub & Van Loan, Matrix Computations, 8.3 and 8.4). Both are backward stable:
errors are some rounding units of the largest eigenvalue, as the library's are. Jacobi rotations in
float32, 289 ms there, leave 5e-5: too much for the lower quartile of cosines, which is often small.
"""

from __future__ import annotations

import torch
from torch import Tensor

BATCHED = 32
"""Size up to which a GPU's library takes all matrices in one call."""

MOST = 256
"""Size from which one matrix fills a GPU, so that the library's way is right."""

NEGLIGIBLE = 1e-60
"""Norm below which a column is zero, beside ones: its square would leave the range of floats."""

POINTS = 3
"""Points at which a round counts, for each eigenvalue: it keeps a quarter of the interval."""

ROUNDS = 27
"""Rounds: 4^-27 of the interval is less than its rounding in float64."""


def eigenvalues(matrices: Tensor) -> Tensor:
    """Return the eigenvalues (..., n), ascending, of symmetric matrices (..., n, n).

    Raises:
        torch.linalg.LinAlgError: the library's do not converge, e.g. of numbers that are not
            finite. (What :func:`together` finds of these is NaN, for each matrix by itself.)
    """
    if worthwhile(matrices):
        return together(matrices)
    values: Tensor = torch.linalg.eigvalsh(matrices)
    return values


def worthwhile(matrices: Tensor) -> bool:
    """Say whether :func:`together` is chosen: for many matrices of middle size, not on a CPU.

    It launches about 40 kernels per row, whatever their number; the library's loop some 20 per
    matrix.
    """
    n = matrices.shape[-1]
    return (
        matrices.device.type != "cpu"
        and BATCHED < n <= MOST
        and matrices.shape[:-2].numel() >= 2 * n
    )


def together(matrices: Tensor) -> Tensor:
    """Return the same, found for all matrices together, in float64."""
    flat = matrices.flatten(0, -3).double() if matrices.dim() > 2 else matrices[None].double()
    # Squares of tiny and of huge numbers would leave the range of floats.
    scale = flat.abs().amax((1, 2))
    scale = torch.where(scale > 0, scale, 1)
    diagonal, below = tridiagonal(flat / scale[:, None, None])
    parts = zip(diagonal.split(_chunk(diagonal)), below.split(_chunk(diagonal)), strict=True)
    values = torch.cat([of_tridiagonal(*part) for part in parts]) * scale[:, None]
    return values.view(matrices.shape[:-1]).to(matrices.dtype)


def _chunk(diagonal: Tensor) -> int:
    """Return how many tridiagonal matrices are counted at once: half a gigabyte of quotients."""
    return max(1, 2**26 // (POINTS * diagonal.shape[1] ** 2))


def tridiagonal(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return diagonals (b, n) and the numbers below them (b, n - 1) of similar matrices.

    Args:
        matrices: (b, n, n), symmetric, whose largest numbers are 1; they are overwritten.
    """
    n = matrices.shape[-1]
    below = matrices.new_empty(len(matrices), n - 1)
    for k in range(n - 2):
        column, rest = matrices[:, k + 1 :, k : k + 1], matrices[:, k + 1 :, k + 1 :]
        # The reflection that makes all but the first number of the column zero.
        norm = torch.linalg.vector_norm(column, dim=1, keepdim=True)
        v = torch.where(norm < NEGLIGIBLE, 0, column)  # nothing is reflected, nor divided by zero
        target = torch.copysign(torch.linalg.vector_norm(v, dim=1), v[:, 0]).neg_()
        below[:, k : k + 1] = target
        v[:, 0] -= target
        square = torch.bmm(v.mT, v)
        factor = torch.where(square == 0, 0, 2 / square)
        p = torch.bmm(rest, v) * factor
        w = p - v * (factor / 2 * torch.bmm(p.mT, v))
        rest.baddbmm_(torch.cat([v, w], 2), torch.cat([w, v], 2).mT, alpha=-1)
    if n > 1:
        below[:, -1] = matrices[:, -1, -2]
    return matrices.diagonal(dim1=1, dim2=2).contiguous(), below


def of_tridiagonal(diagonal: Tensor, below: Tensor) -> Tensor:
    """Return the eigenvalues (b, n), ascending, of symmetric tridiagonal matrices.

    Args:
        diagonal: (b, n) float64; numbers of at most 1, about.
        below: (b, n - 1), what is below and above it.
    """
    size = below.abs()
    reach = torch.nn.functional.pad(size, (1, 0)) + torch.nn.functional.pad(size, (0, 1))
    ends = (diagonal - reach).amin(1), (diagonal + reach).amax(1)  # Gershgorin's circles
    low = ends[0][:, None].expand(diagonal.shape)
    width = (ends[1] - ends[0])[:, None]
    low, width = low - 1e-15 * width, width * (1 + 2e-15)
    squares = below.square().clamp_min(1e-290).T[:, :, None, None]  # a quotient 0 / 0 is no number
    steps = torch.arange(1, POINTS + 1, dtype=low.dtype, device=low.device) / (POINTS + 1)
    wanted = torch.arange(diagonal.shape[1], device=low.device)[:, None]
    rows = diagonal.T[:, :, None, None]
    for _ in range(ROUNDS):
        points = low[:, :, None] + width[:, :, None] * steps  # (b, n, points)
        quotients = rows - points
        for row in range(1, len(rows)):
            quotients[row].addcdiv_(squares[row - 1], quotients[row - 1], value=-1)
        smaller = (quotients < 0).sum(0)  # eigenvalues below each point
        width = width / (POINTS + 1)
        low = low + width * (smaller <= wanted).sum(2)
    return (low + width / 2).sort(1).values
