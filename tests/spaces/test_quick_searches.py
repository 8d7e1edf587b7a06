"""``python -m nas_search search_space=X budget=quick`` works for every space, at its smallest."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from nas_search.commands.command import CONF
from nas_search.commands.run_search import run_search
from nas_search.runs.architecture import load
from tests.commands.test_search_schema import compose
from tests.spaces.test_module import SCHEMA

SMALLEST = {
    "autoformer": ("depth=[1,2]", "embed_dim=[8,12]", "mlp_ratio=[1,2]", "num_heads=[1,2]"),
    "conv1d": ("stem=8", "multiplier=0.1", "depths=[1]"),
    "darts": ("cells=3", "channels=2"),
    "mobilenet": ("stem=8", "head=8", "multiplier=0.1", "depths=[1,2]"),
    "flexibert": ("layers=[1,2]", "hidden=[8]", "feed_forward=[8,12]", "embedding=8"),
    "module": ("function=tests.spaces.made_networks:chain", f"choices={SCHEMA}"),
    "nasbench101": ("modules_per_stack=1", "channels=5"),
    "nasbench201": ("cells=1", "channels=2"),
    "nds_cells": ("family=nasnet", "width_factor=0.1", "depth_factor=0.1"),
    "nds_residual": ("family=resnext_a", "width_factor=0.1", "depth_factor=0.1"),
}
"""Keys of the group ``search_space``; a space that is not here has its own defaults."""

TRAINED = dict.fromkeys(
    ("mobilenet", "nds_cells", "nds_residual"),
    ("finalists.k=1", "recipe.epochs=1", "recipe.drop_path=0.1"),
)
"""Spaces whose best is trained and exported here; that of others has tests of its own."""

SPACES = sorted(path.stem for path in (Path(CONF) / "search_space").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_a_quick_search_of_every_space(space: str, tmp_path: Path) -> None:
    config = compose(
        *(f"search_space={space}", "budget=quick", "dataset.size=8", "proxy.batch_size=10"),
        *(f"search_space.{size}" for size in SMALLEST.get(space, ())),
        *TRAINED.get(space, ()),
        *("recipe.min_steps=0", "budget.evaluations=4", "algorithm=random"),
        *("executor=inline", "device=cpu"),
    )
    with Path("/dev/null").open("w") as nowhere:
        run_search(config, tmp_path, Console(file=nowhere))
    with (tmp_path / "history.csv").open(newline="", encoding="utf-8") as file:
        assert {row["status"] for row in csv.DictReader(file)} <= {"ok", "dead"}
    sources = [folder / "model.py" for folder in (tmp_path / "finalists").glob("*/")]
    assert [one.exists() for one in sources] == [True] * (space in TRAINED)
    best = load(tmp_path)
    assert sum(p.numel() for p in best.build().parameters()) == best.cost().params


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_the_sizes_that_a_space_has_by_itself_are_scored(space: str, tmp_path: Path) -> None:
    """Published sizes hold what the smallest do not: as many heads as samples, many layers."""
    config = compose(
        *(f"search_space={space}", "budget=quick", "budget.evaluations=2", "algorithm=random"),
        *(f"search_space.{size}" for size in SMALLEST["module"] if space == "module"),
        *("proxy.batch_size=16", "executor=inline", "device=cpu", "redraw=0"),
    )
    with Path("/dev/null").open("w") as nowhere:
        run_search(config, tmp_path, Console(file=nowhere))
    with (tmp_path / "history.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["status"] for row in rows} <= {"ok", "dead"}, [row["reason"] for row in rows]


def test_every_space_is_on_its_page() -> None:
    page = (Path(CONF).parent / "docs" / "spaces.md").read_text(encoding="utf-8")
    missing = [space for space in SPACES if f"`{space}`" not in page]
    assert not missing
    for space in SPACES:
        file = Path(CONF) / "search_space" / f"{space}.yaml"
        assert yaml.safe_load(file.read_text(encoding="utf-8"))["name"] == space
