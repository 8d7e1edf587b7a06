"""Gram matrices of rows with thousands of columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

PART = 2048
"""Columns of a part. A product of 32 rows by 16,384 columns occupies few of a GPU's blocks: on an
H200, 16 of them take .319 ms whole, and .080 ms cut into parts whose products are added up. The
sums are more exact, too (error 2e-7 instead of 6e-6). A CPU takes longer for it."""

LONG = 3 * PART
"""Rows that are not longer stay whole: the sum would cost more than the cut saves."""


def grams(rows: Tensor, candidates: int) -> Tensor:
    """Return each candidate's Gram matrix of its rows, (k, n, n), of rows (k n, P)."""
    rows = _single(rows)
    if candidates == 1:
        return grams_side_by_side(rows[:, None])
    parts = _parts(rows)
    own = rows.unflatten(0, (candidates, -1))
    if parts > 1:
        own = own.unflatten(2, (parts, -1)).transpose(1, 2)
    found: Tensor = own @ own.mT
    return found.sum(1) if parts > 1 else found


def grams_side_by_side(x: Tensor) -> Tensor:
    """Return the Gram matrices of E edges, (E, n, n), of values (n, E, ...)."""
    return joined([terms_side_by_side(x)])


def terms_side_by_side(x: Tensor) -> Tensor:
    """Return the same as terms that are yet to be added up.

    Args:
        x: (n, E, ...), values of n samples of E edges.

    Returns:
        (E, n, n), or (E, parts, n, n) where the columns were cut into parts: :func:`joined` makes
        the matrices of it, in fewer calls for many at once. They wait in n / PART of the memory of
        the values.
    """
    x = _single(x.flatten(2))
    n, edges = x.shape[:2]
    if edges == 1 and x.device.type == "cpu":  # the library's plain product is the faster one
        rows = x[:, 0]
        return (rows @ rows.T)[None]
    parts = _parts(x)
    if parts > 1:
        x = x.unflatten(2, (parts, -1)).flatten(1, 2)
    own = x.transpose(0, 1)
    found = torch.bmm(own, own.mT)
    return found.view(edges, parts, n, n) if parts > 1 else found


def joined(terms: Sequence[Tensor]) -> Tensor:
    """Return all matrices (m, n, n) of what :func:`terms_side_by_side` gave, in its order."""
    whole = list(terms)
    by_parts: dict[int, list[int]] = defaultdict(list)
    for number, own in enumerate(terms):
        if own.dim() == 4:
            by_parts[own.shape[1]].append(number)
    for numbers in by_parts.values():  # one call for all that were cut into equally many parts
        sums = _cat([terms[number] for number in numbers]).sum(1)
        for number, own in zip(numbers, sums.split([len(terms[n]) for n in numbers]), strict=True):
            whole[number] = own
    return _cat(whole)


def _cat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(tensors)) if len(tensors) > 1 else tensors[0]


def _single(rows: Tensor) -> Tensor:
    # Products of bfloat16 numbers are exact in TF32, their sums not.
    return rows.float() if rows.dtype == torch.bfloat16 else rows


def _parts(rows: Tensor) -> int:
    """Return into how many equal parts the columns are cut: one on a CPU."""
    columns = rows.shape[-1]
    if rows.device.type == "cpu" or columns <= LONG:
        return 1
    return next((p for p in range(columns // PART, 1, -1) if columns % p == 0), 1)
