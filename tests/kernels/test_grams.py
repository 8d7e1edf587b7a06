"""Gram matrices of long rows, whole and cut, of candidates and of edges side by side."""

from __future__ import annotations

import pytest
import torch

from nas_search.kernels import grams as of_grams
from nas_search.kernels.grams import grams, grams_side_by_side


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("candidates", [1, 4])
def test_they_are_products_of_rows(
    parts: int, candidates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_grams, "_parts", lambda rows: parts)
    rows = torch.randn(candidates * 5, 12, dtype=torch.float64)
    expected = torch.stack([own @ own.T for own in rows.split(5)])
    torch.testing.assert_close(grams(rows, candidates), expected)
    beside = rows.view(candidates, 5, 3, 4).transpose(0, 1)
    torch.testing.assert_close(grams_side_by_side(beside), expected)
    torch.testing.assert_close(grams_side_by_side(beside.contiguous()), expected)


def test_long_rows_are_cut_into_equal_parts_on_a_gpu() -> None:
    for columns in (100, of_grams.LONG, of_grams.LONG + 2, 16384, 12289):
        rows = torch.empty(2, columns, device="meta")
        parts = of_grams._parts(rows)
        assert columns % parts == 0
        assert (parts > 1) == (columns > of_grams.LONG and columns != 12289)  # a prime number
        assert of_grams._parts(torch.empty(2, columns)) == 1


@pytest.mark.parametrize("cut", [[1], [3], [1, 3, 2, 3, 1]])
def test_terms_of_many_calls_are_added_up_in_their_order(
    cut: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [torch.randn(5, 1 + number, 12, dtype=torch.float64) for number in range(len(cut))]
    terms = []
    for own, parts in zip(values, cut, strict=True):
        monkeypatch.setattr(of_grams, "_parts", lambda rows, parts=parts: parts)
        terms.append(of_grams.terms_side_by_side(own))
    edges = [edge for own in values for edge in own.unbind(1)]
    expected = torch.stack([edge @ edge.T for edge in edges])
    torch.testing.assert_close(of_grams.joined(terms), expected)
