"""The plots of docs/study.md: the default score against accuracy, and all scores by data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nas_search import report
from nas_search.report.figure import INK, style
from studies.result_files import Runs, judged_rows, mean_scores

SCATTERS = {"nasbench201": ("c10_test_200", "c100_test_200", "in16_test_200")}
HEAT = {
    "NAS-Bench-201\nCIFAR-10": ("nasbench201", "c10_test_200"),
    "NAS-Bench-201\nCIFAR-100": ("nasbench201", "c100_test_200"),
    "NAS-Bench-201\nImageNet16": ("nasbench201", "in16_test_200"),
    "NAS-Bench-101": ("nasbench101", "c10_test_acc_108_mean3"),
    "DARTS\nfull_600": ("full_600", "c10_acc"),
    "DARTS\nsmall_200": ("small_200", "c10_acc"),
    "DARTS\nshort_50": ("short_50", "c10_acc"),
}


def draw(out: Path, runs: Runs, directory: Path) -> None:
    """Write the plots of the runs in ``out`` and of the kept rankings into ``directory``."""
    for place, columns in SCATTERS.items():
        path = out / place / "scores" / "scores.csv"
        if not path.exists():
            continue
        scores = mean_scores(path)
        accuracies = {column: scores[column] for column in columns}
        report.score_scatter(
            "gradalign", scores["gradalign"], accuracies, directory / f"{place}_gradalign.png"
        )
    with style():
        heat(taus(runs)).savefig(directory / "heatmap.png", dpi=100)


def taus(runs: Runs) -> dict[str, list[float]]:
    """Return Kendall's tau with each data set of :data:`HEAT` by score, NaN where not run."""
    found: dict[str, list[float]] = {}
    for number, (place, column) in enumerate(HEAT.values()):
        for name, row in judged_rows(runs, place, column).items():
            line = found.setdefault(name, [np.nan] * len(HEAT))
            line[number] = float(row["tau"])
    return found


def heat(found: dict[str, list[float]]) -> Figure:
    """Return the heat map, best mean on NAS-Bench-201 first."""
    names = sorted(found, key=lambda name: -np.nanmean(found[name][:3]))
    values = np.array([found[name] for name in names])
    figure = Figure(figsize=(9, 1.2 + 0.27 * len(names)), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(values, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "white" if abs(value) > 0.65 else INK
            axes.text(x, y, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)
    axes.set_xticks(range(len(HEAT)), list(HEAT), fontsize=8, color=INK)
    axes.set_yticks(range(len(names)), names, fontsize=8, color=INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("Kendall's tau with test accuracy", loc="left", color=INK, fontsize=11)
    return figure
