"""The three scores of AZ-NAS against naive implementations of their formulas."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.passes.cell_features import CellFeatures
from nas_search.proxies import PROXIES, Measurement
from nas_search.scoring import measure
from tests.proxies.naive import CELLS, batch, build, score


def features(number: int, generator: torch.Generator) -> list[Tensor]:
    """Return the stem's and each cell's output for standard normal images."""
    network = build(number, "kaiming_normal")
    x = network.get_submodule("stem")(torch.randn(batch()[0].shape, generator=generator).double())
    maps = [x]
    for cell in network.get_submodule("cells").children():
        x = cell(x)
        maps.append(x)
    return maps


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_entropies_are_those_of_principal_components(number: int) -> None:
    entropies = []
    for feature in features(number, torch.Generator().manual_seed(0)):
        rows = feature.detach().permute(0, 2, 3, 1).reshape(-1, feature.shape[1]).numpy()
        values = np.linalg.eigvalsh(np.cov(rows.T, ddof=0))
        shares = values / values.sum()
        entropies.append(-sum(p * math.log(p + 1e-8) for p in shares))
    assert score("az_expressivity", number) == pytest.approx(sum(entropies), rel=1e-6)
    growth = min(b - a for a, b in pairwise(entropies))
    assert score("az_progressivity", number) == pytest.approx(growth, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_gains_are_those_of_random_signs(number: int) -> None:
    generator = torch.Generator().manual_seed(7)
    maps = features(number, generator)
    terms = []
    for before, after in pairwise(maps):
        out = torch.randint(0, 2, after.shape, generator=generator).double() * 2 - 1
        (back,) = torch.autograd.grad(after, before, out, retain_graph=True)
        if back.shape[2:] != out.shape[2:]:
            back = nn.PixelUnshuffle(2)(back)
        matrix = torch.einsum("ncij,ndij->cd", back, out) / (out.numel() / out.shape[1])
        s = np.linalg.svd(matrix.numpy())[1].max()
        terms.append(-s - 1 / (s + 1e-6) + 2)
    assert score("az_trainability", number, seed=7) == pytest.approx(np.mean(terms), rel=1e-9)


def test_scores_do_not_depend_on_the_images() -> None:
    images, labels = batch()
    both = [
        measure(build(0, "kaiming_normal"), x, labels, kinds=[CellFeatures])[CellFeatures]
        for x in (images, 3 * images + 1)
    ]
    assert both[0] == both[1]


def test_identity_cell_has_no_trainability() -> None:
    seen = Measurement(CellFeatures((1.0, 1.5, 1.25), (None, 1.0)))
    assert PROXIES.get("az_trainability").score(seen) < -1e5
    assert PROXIES.get("az_expressivity").score(seen) == 3.75
    assert PROXIES.get("az_progressivity").score(seen) == -0.25


def test_network_without_cells_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).double()
    with pytest.raises(InputError, match="list of cells"):
        measure(network, *batch(), kinds=[CellFeatures])
