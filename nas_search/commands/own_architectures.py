"""What ``architecture=...`` stands for: files, rows of a table, published names, text forms."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import yaml

from nas_search.commands.command import CONF
from nas_search.commands.groups import read_space, read_table
from nas_search.commands.reading import read_name
from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.core.text import read_text, shorten
from nas_search.runs.architecture import Architecture, load
from nas_search.spaces import SPACES, SearchSpace
from nas_search.tables import Table

Space = tuple[SearchSpace[Any], dict[str, Any], dict[str, Any]]
"""A space, the sizes of its skeleton, and its options, as :func:`.groups.read_space` gives them."""


def own_architectures(
    given: Any, search_space: dict[str, Any] | None, benchmark: dict[str, Any]
) -> list[Architecture]:
    """Return the architectures that the user named.

    Args:
        given: a text form, a published name, a file or run directory, the number of a row, or a
            list of such.
        search_space: the group of that name; None where it is not chosen.
        benchmark: the group of that name.

    Raises:
        InputError: nothing like it exists.
    """
    space = read_space(search_space) if search_space else None
    table = _table(benchmark, space)
    items = given if isinstance(given, list) else [given]
    return [_architecture(item, space, table) for item in items]


def _table(benchmark: dict[str, Any], chosen: Space | None) -> Table | None:
    name = read_name(benchmark, "benchmark")
    space = chosen[0] if chosen else None
    if space is None and name in SPACES.names():
        space = SPACES.get(name).space()
    if space is None and name != "none":
        raise InputError(f"benchmark={name}: say of which space its rows are, search_space=NAME")
    return read_table(space, benchmark) if space is not None else None


def _architecture(item: Any, space: Space | None, table: Table | None) -> Architecture:
    text = str(item)
    if isinstance(item, int) or text.isdigit():
        return _of_row(int(text), space, table)
    path = _existing(text)
    if path is None:
        return _of_text(text, space)
    if path.is_dir():
        return load(path)
    content = read_text(path)
    return load(path) if _is_json(content) else _of_text(content, space)


def _existing(text: str) -> Path | None:
    """Return ``text`` as a path if something is there; a genotype is mostly too long for one."""
    try:
        path = user_path(text)
    except InputError:
        return None
    return path if os.path.exists(path) else None  # noqa: PTH110  # never raises


def _of_row(row: int, space: Space | None, table: Table | None) -> Architecture:
    if table is None:
        raise InputError(
            f"architecture={row} is a row of a table: add benchmark=NAME benchmark.path=FILE"
        )
    if not 0 <= row < len(table.architectures):
        raise InputError(
            f"architecture={row}: the table has rows 0 to {len(table.architectures) - 1}"
        )
    return _sized(table.space.name, str(table.architectures[row]), space)


def _of_text(text: str, space: Space | None) -> Architecture:
    if space:
        return _sized(space[0].name, str(space[0].parse(text)), space)
    for record in SPACES:
        try:
            return _sized(record.name, str(record.space().parse(text)), None)
        except InputError:
            continue
    if re.fullmatch(r"[^\n|(]*[/\\.][^\n|(]*", text):
        raise InputError(f"architecture: there is no file or folder {shorten(text, 200)}")
    raise InputError(
        f"architecture={shorten(' '.join(text.split()), 60)} is no file and no search space reads "
        "it; with search_space=NAME the message says where it goes wrong"
    )


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _sized(name: str, genotype: str, space: Space | None) -> Architecture:
    """Return a genotype in the sizes of its yaml, those in which a search scores it."""
    _, macro, options = space or default_sizes(name)
    return Architecture(name, genotype, (3, 32, 32), 10, macro, options)


def default_sizes(name: str) -> Space:
    """Return a space with the sizes of its yaml, those in which a search scores."""
    file = Path(CONF) / "search_space" / f"{name}.yaml"
    values = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    return read_space({**values, "name": name})
