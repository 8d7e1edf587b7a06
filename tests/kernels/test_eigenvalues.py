"""Eigenvalues of many matrices at once are the library's, on spectra that are hard."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from nas_search.kernels import eigenvalues as of_many
from nas_search.proxies.gradalign import spread

SPECTRA: dict[str, Callable[[int], Tensor]] = {
    "uniform": lambda n: torch.rand(n),
    "both signs": lambda n: torch.randn(n),
    "repeated": lambda n: torch.ones(n),
    "zeros": lambda n: torch.zeros(n),
    "rank one": lambda n: torch.arange(n) == n - 1,
    "clusters": lambda n: torch.arange(n) % 3,
    "nearly equal": lambda n: 1 + 1e-13 * torch.rand(n),
    "36 orders of magnitude": lambda n: torch.logspace(-18, 18, n),
    "tiny": lambda n: 1e-200 * torch.rand(n),
    "huge": lambda n: 1e150 * torch.rand(n),
}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("n", [1, 2, 3, 33, 64])
def test_they_are_those_that_the_matrices_were_made_of(n: int) -> None:
    spectra = torch.stack([make(n).double() for make in SPECTRA.values()]).sort(1).values
    bases = torch.linalg.qr(torch.randn(len(spectra), n, n)).Q
    matrices = bases @ spectra.diag_embed() @ bases.mT
    matrices = (matrices + matrices.mT) / 2
    found = of_many.together(matrices)
    for name, seen, own, matrix in zip(SPECTRA, found, spectra, matrices, strict=True):
        scale = own.abs().max()
        for expected in (own, torch.linalg.eigvalsh(matrix)):
            assert (seen - expected).abs().max() <= 1e-14 * scale, name
        assert (seen.diff() >= 0).all()


def test_matrices_that_are_sparse_or_no_numbers() -> None:
    """Nothing is divided by a column of zeros, and one that is broken spoils no other."""
    n = 12
    blocks = torch.block_diag(torch.ones(n // 2, n // 2), torch.zeros(n // 2, n // 2))
    broken = torch.ones(n, n).fill_diagonal_(torch.nan)
    matrices = torch.stack([torch.eye(n), torch.arange(n).double().diag(), blocks, broken])
    found = of_many.together(matrices.view(2, 2, n, n)).view(4, n)
    torch.testing.assert_close(found[:3], torch.linalg.eigvalsh(matrices[:3]), rtol=0, atol=1e-13)
    assert found[3].isnan().all()


def cosines(n: int, count: int, columns: int) -> Tensor:
    rows = torch.nn.functional.normalize(torch.randn(count, n, columns) + 0.3, dim=2)
    return rows @ rows.mT


@pytest.mark.parametrize("columns", [16, 60, 64, 4096])
def test_the_quartile_of_the_default_score_is_that_of_the_library(columns: int) -> None:
    """Of full rank, of less, and where the quartile is a thousandth of the largest."""
    own = cosines(64, 8, columns)
    expected = spread(torch.linalg.eigvalsh(own))
    torch.testing.assert_close(spread(of_many.together(own)), expected, rtol=1e-10, atol=1e-14)
    single = of_many.together(own.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), torch.linalg.eigvalsh(own), rtol=1e-5, atol=1e-5)


def test_they_come_in_parts_where_memory_would_end(monkeypatch: pytest.MonkeyPatch) -> None:
    own = cosines(33, 5, 50)
    monkeypatch.setattr(of_many, "_chunk", lambda _: 2)
    torch.testing.assert_close(of_many.together(own), torch.linalg.eigvalsh(own))


def test_they_are_for_many_matrices_of_middle_size_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def chosen(*shape: int, device: str = "meta") -> bool:
        return of_many.worthwhile(torch.empty(*shape, device=device))

    assert chosen(100, 33, 33)
    assert chosen(10, 20, 64, 64)
    assert not chosen(100, 32, 32)  # the library's own way takes all at once
    assert not chosen(33, 33)
    assert not chosen(5, 64, 64)
    assert not chosen(10_000, 300, 300)
    assert not chosen(100, 33, 33, device="cpu")
    own = cosines(6, 4, 10)
    torch.testing.assert_close(of_many.eigenvalues(own), torch.linalg.eigvalsh(own))
    monkeypatch.setattr(of_many, "worthwhile", lambda _: True)
    monkeypatch.setattr(torch.linalg, "eigvalsh", None)
    assert (of_many.eigenvalues(own).sum(1) - 6).abs().max() < 1e-12
