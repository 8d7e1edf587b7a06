"""What a person may have meant by a key or a choice that a command does not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nas_search.core.files import user_path
from nas_search.core.guess import closest

_NUMBERS = {
    "finalists": "finalists.k",
    "budget": "budget.evaluations",
    "executor": "executor.workers",
    "algorithm": "algorithm.population",
}
"""The key that a number given to a group is most likely meant for."""


def meant_key(key: str, conf: Path, command: str) -> str:
    """Return ``" (did you mean budget.evaluations?)"`` for the keys of a command, or ``""``.

    Args:
        key: as typed.
        conf: the folder of the configuration.
        command: name of the command's file in it, as in ``config`` for ``config.yaml``.
    """
    known = dict.fromkeys(one for one in _keys(conf, command) if one != key)
    same_end = [one for one in known if one.split(".")[-1] == key.split(".")[-1]]
    similar = closest(key, known)
    if not similar and not same_end:
        ends = {one.split(".")[-1]: one for one in known}
        similar = ends.get(closest(key.split(".")[-1], ends), "")
    guesses = [similar] if similar and "." in key else same_end[:3] or [similar]
    return f" (did you mean {' or '.join(guesses)}?)" if guesses[0] else ""


def meant_choice(group: str, name: str, possible: list[str]) -> str:
    """Return ``" (did you mean finalists.k=3?)"`` for a choice that a group does not have."""
    if group in _NUMBERS and name.replace(".", "", 1).isdigit():
        return f" (did you mean {_NUMBERS[group]}={name}?)"
    if group == "dataset" and (path := user_path(name)).exists():
        kind = "imagefolder" if path.is_dir() else "npz"
        return f" (did you mean dataset={kind} dataset.path={name}?)"
    guess = closest(name, possible)
    return f" (did you mean {group}={guess}?)" if guess else ""


def _keys(conf: Path, command: str) -> Iterator[str]:
    """Yield the keys of a command: those of every choice of its groups, and those beside them."""
    root = _read(conf / f"{command}.yaml")
    for entry in root.pop("defaults", []):
        for group in entry if isinstance(entry, dict) else ():
            for file in sorted((conf / group).glob("*.yaml")):
                values = {key: value for key, value in _read(file).items() if key != "defaults"}
                yield from (f"{group}.{key}" for key in _nested(values))
    yield from _nested(root)


def _nested(values: dict[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{below}" for below in _nested(value))


def _read(file: Path) -> dict[str, Any]:
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    return values if isinstance(values, dict) else {}
