"""A folder, listed: what lies in it, and what people do not see of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_SYSTEM = frozenset({"__macosx", "@eadir", "$recycle.bin", "system volume information"})


@dataclass(frozen=True)
class Tree:
    """A folder as it was read: names of folders by where they lie, and files, downwards from it."""

    root: Path
    folders: dict[tuple[str, ...], list[str]]
    files: tuple[tuple[str, ...], ...]

    def names(self, at: tuple[str, ...]) -> list[str]:
        """Return the sorted names of the folders in one, without hidden ones."""
        return sorted(name for name in self.folders.get(at, ()) if not is_hidden(name))

    def path(self, at: tuple[str, ...]) -> Path:
        """Return where a folder or file lies."""
        return self.root.joinpath(*at)


def is_hidden(name: str) -> bool:
    """Say whether a file or folder of this name is one that people do not see."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def read_tree(root: Path) -> Tree:
    """List a folder, links to folders included; a folder that is linked into itself once.

    Raises:
        OSError: a folder in it cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise error

    folders: dict[tuple[str, ...], list[str]] = {}
    files: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for place, inner, names in os.walk(root, onerror=fail, followlinks=True):
        at = Path(place).relative_to(root).parts
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner.sort()
        folders[at] = list(inner)
        files += [(*at, name) for name in names]
    return Tree(root, folders, tuple(sorted(files)))
