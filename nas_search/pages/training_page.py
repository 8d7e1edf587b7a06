"""The page of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_search.core.errors import InputError
from nas_search.pages import commands
from nas_search.pages.cell_svg import cell_svg
from nas_search.pages.page import render
from nas_search.pages.trained import trained_in
from nas_search.runs.architecture import load
from nas_search.runs.run import read_finalists


def training_page(folder: Path, live: Mapping[str, Any] | None = None) -> str:
    """Return the page of a folder that holds ``finalists/``.

    Raises:
        InputError: nothing was trained there, or a file is broken.
    """
    finalists = folder / "finalists"
    trained = trained_in(finalists)
    if trained is None:
        raise InputError(f"{folder} holds no training: no network has an epoch yet")
    rows = read_finalists(finalists / "finalists.csv")
    cells = []
    if rows and (finalists / rows[0]["key"] / "genotype.json").exists():
        best = load(finalists / rows[0]["key"])
        for graph in best.space.graphs(best.space.parse(best.genotype)):
            cells.append((graph.name, cell_svg(graph, f"{graph.name} cell of {rows[0]['key']}")))
    return render(
        "training.html",
        f"Training in {folder.name}",
        trained.charts,
        [trained.grid],
        live,
        trained=trained,
        cells=cells,
        commands=commands.again(folder),
    )
