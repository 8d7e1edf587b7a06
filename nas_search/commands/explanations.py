"""What each key of a configuration means, in the words of the place that defines it.

For most keys that is the comment above it in its yaml. Keys below one comment share it. The keys of
a recipe are explained in the docstrings of its dataclasses, which are read without importing them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

Explained = dict[str, str]
"""A sentence by key; keys that share it have the same one, and follow each other."""

_RECIPE = Path(__file__).parent.parent / "training" / "recipe.py"


def from_comments(file: Path) -> Explained:
    """Return what the comments of a yaml file say of its keys, ``below.key`` for nested ones."""
    explained: Explained = {}
    above: list[tuple[int, str]] = []  # indents and names of the keys that this line is below
    comment: list[str] = []
    in_comment = False
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("#"):
            comment = [*comment, text.lstrip("# ")] if in_comment else [text.lstrip("# ")]
            in_comment = True
            continue
        in_comment = False
        found = re.match(r"( *)\"?(\w+)\"?:", line)  # yaml reads a bare "on" as true
        if not found:
            if not text:
                comment = []
            continue
        while above and above[-1][0] >= len(found[1]):
            above.pop()
        above.append((len(found[1]), found[2]))
        if len(above) > 1 or found[2] not in ("defaults", "name"):
            explained[".".join(name for _, name in above)] = " ".join(comment)
        else:
            comment = []  # what it says is said of the whole file
    return explained


def from_docstrings(file: Path = _RECIPE, name: str = "Recipe") -> Explained:
    """Return what the docstring of a dataclass says of its fields, those of its parts too."""
    classes = {
        node.name: ast.get_docstring(node) or ""
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    explained: Explained = {}
    for key, text in _attributes(classes[name]):
        part = classes.get(key.capitalize())
        if part is None:
            explained[key] = text
        else:
            explained.update({f"{key}.{below}": said for below, said in _attributes(part)})
    return explained


def of_group(files: Iterable[Path]) -> Explained:
    """Return what the files of a choice say of the keys of its group, the first file first."""
    explained: Explained = {}
    for file in files:
        own = from_docstrings() if file.parent.name == "recipe" else from_comments(file)
        explained = {**own, **{key: said for key, said in explained.items() if said}}
    return explained


def _attributes(docstring: str) -> list[tuple[str, str]]:
    section = docstring.partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    (\w+): ((?:.|\n     )*)", section, re.MULTILINE)
    plain = (re.sub(r":\w+:`~?([^`]*)`", r"\1", " ".join(text.split())) for _, text in entries)
    return [
        (key, text.replace("``", "").removesuffix("."))
        for (key, _), text in zip(entries, plain, strict=True)
    ]
