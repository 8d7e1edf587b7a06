"""Who may import whom: a room of the package knows the rooms below it and none above."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import nas_search

PACKAGE = Path(nas_search.__file__).parent
ROOMS = (
    *("core", "stacked", "layers", "gradients", "spaces", "tables", "passes", "proxies", "data"),
    *("scoring", "search", "runs", "training", "ranking", "report", "testing"),
    *("commands", "rank", "train", "__init__", "__main__"),
)
"""From the ground up."""


def room(module: str) -> str:
    """Return the room of a module, e.g. ``spaces`` of ``nas_search.spaces.darts``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(file: Path) -> Iterator[str]:
    """Yield the full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            beside = node.module == "nas_search"  # from nas_search import report
            yield from (
                f"nas_search.{alias.name}" if beside else node.module for alias in node.names
            )


def test_a_room_imports_from_those_below_it_alone() -> None:
    wrong = []
    for file in sorted(PACKAGE.rglob("*.py")):
        own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        assert own in ROOMS, f"say in ROOMS what the new room {own} may import"
        used = {room(name) for name in imports(file) if name.split(".")[0] == "nas_search"}
        used.discard("__init__")  # the version alone
        above = sorted(other for other in used if ROOMS.index(other) > ROOMS.index(own))
        wrong += [f"{file.relative_to(PACKAGE)} imports {other}" for other in above]
    assert not wrong


def test_search_does_not_know_torch() -> None:
    files = (PACKAGE / "search").glob("*.py")
    known = {name.split(".")[0] for file in files for name in imports(file)}
    assert "deap" in known and "torch" not in known
