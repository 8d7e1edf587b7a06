"""How scores and short trainings order fully trained cells, on a made table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from studies.full_600 import EPOCHS, measured, shown
from studies.result_files import Row

N = 30
RNG = np.random.default_rng(5)
ACCURACIES = 96 + RNG.random(N)
SCORES = ACCURACIES + RNG.normal(0, 0.3, N)


def rows() -> tuple[list[Row], list[Row]]:
    """Return scores and curves in different orders; the last score is missing."""
    scores = [
        {"genotype": f"cell {i}", "gradalign": str(SCORES[i]) if i < N - 1 else "", "params": "100"}
        for i in reversed(range(N))
    ]
    curves = [
        {
            "genotype": f"cell {i}",
            "also_in_darts_trained": str(int(i < 12)),
            "c10_acc": str(ACCURACIES[i]),
            **{f"acc_ep{epochs}": str(ACCURACIES[i] - epochs) for epochs in EPOCHS},
        }
        for i in range(N)
    ]
    return scores, curves


def test_figures_are_those_of_scipy_and_the_missing_score_is_last() -> None:
    of = {(row["by"], row["cells"]): row for row in measured(*rows())}
    own = np.append(SCORES[:-1], -1.0)
    for cells, inside in (("all", slice(None)), ("known", slice(12)), ("later", slice(12, None))):
        row, true = of["gradalign", cells], ACCURACIES[inside]
        assert int(row["n"]) == len(true)
        tau, rho = kendalltau(own[inside], true).statistic, spearmanr(own[inside], true).statistic
        assert float(row["tau"]) == pytest.approx(tau, abs=1e-4)
        assert float(row["rho"]) == pytest.approx(rho, abs=1e-4)
        assert float(row["tau_low"]) < float(row["tau"]) < float(row["tau_high"])
    right = (np.sign(own[:, None] - own) == np.sign(ACCURACIES[:, None] - ACCURACIES)).sum() - N
    assert float(of["gradalign", "all"]["equal_size"]) == pytest.approx(
        right / (N * (N - 1)), abs=1e-4
    )
    for epochs in EPOCHS:
        assert float(of[f"{epochs} epochs", "all"]["tau"]) == 1


def test_the_table_has_the_best_first_and_says_how_many_cells_there_are() -> None:
    titles, _, *lines = shown(list(measured(*rows()))).splitlines()
    assert "(30)" in titles and "(12)" in titles and "(18)" in titles
    assert lines[0].startswith("| 10 epochs | 1.000 [1.000, 1.000]")
    taus = [float(line.split("|")[2].split()[0]) for line in lines if line.startswith("| `grad")]
    assert len(taus) == 1 and 0 < taus[0] < 1
    assert shown([]) == ""
