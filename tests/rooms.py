"""The rooms of the package as its imports have them, and the page that shows them.

``python -m tests.rooms`` writes the picture and the table into ``docs/architecture.md`` anew.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import nas_search

PACKAGE = Path(nas_search.__file__).parent
PAGE = PACKAGE.parent / "docs" / "architecture.md"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"


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


def rooms_used(file: Path) -> set[str]:
    """Return the rooms from which a file of the package imports, its own among them."""
    return {room(name) for name in imports(file) if name.split(".")[0] == "nas_search"}


def house() -> dict[str, set[str]]:
    """Return the folders of the package and the rooms from which each imports."""
    folders = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
    used = {folder.name: set[str]() for folder in folders}
    for folder in folders:
        for file in folder.rglob("*.py"):
            if file.name == "__main__.py":  # a command of the room's name, no part of the room
                continue
            used[folder.name] |= rooms_used(file) & used.keys() - {folder.name}
    return used


def floors(used: dict[str, set[str]]) -> dict[str, int]:
    """Return how many rooms lie below each at most, one on top of the other."""
    heights: dict[str, int] = {}

    def height(name: str) -> int:
        if name not in heights:
            heights[name] = 1 + max((height(below) for below in used[name]), default=-1)
        return heights[name]

    for name in used:
        height(name)
    return heights


def arrows(used: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that no detour through another room explains: enough for a picture."""

    def below(name: str) -> set[str]:
        return used[name].union(*(below(other) for other in used[name]))

    return {
        name: {other for other in direct if not any(other in below(via) for via in direct)}
        for name, direct in used.items()
    }


def picture() -> str:
    """Return the diagram and the table, top floor first."""
    used = house()
    heights = floors(used)
    order = sorted(used, key=lambda name: (-heights[name], name))
    shown = arrows(used)
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {name} --> {' & '.join(sorted(shown[name]))}" for name in order if shown[name]]
    lines += ["```", "", "| floor | room | what it holds | imports from |", "|---|---|---|---|"]
    for name in order:
        below = ", ".join(f"`{other}`" for other in sorted(used[name])) or "-"
        lines.append(f"| {heights[name]} | `{name}` | {_summary(name)} | {below} |")
    return "\n".join(lines) + "\n"


def _summary(name: str) -> str:
    tree = ast.parse((PACKAGE / name / "__init__.py").read_text(encoding="utf-8"))
    text = ast.get_docstring(tree) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("``", "`").rstrip(".")


def replaced(page: str) -> str:
    """Return the page's text with the picture as the code has it."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{picture()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
