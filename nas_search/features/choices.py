"""Features of architectures that are one choice per position."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def choice_names(positions: Sequence[Sequence[str]], labels: Sequence[str] = ()) -> tuple[str, ...]:
    """Return ``count[name]`` per name, then ``choice1[name]`` per position and name.

    Where all names of a position are numbers, it has one feature, ``choice1``; the names of numbers
    are not counted, and the sum of all of them is ``sum``. Where positions have labels, these stand
    for ``choice1``, and numbers are added up per kind of label: ``sum[width]`` of ``width1``,
    ``width2``, ...

    Args:
        positions: the possible names per position.
        labels: one per position, or none.
    """
    names = [f"count[{name}]" for name in _counted(positions)]
    names += list(_sums(positions, labels))
    for number, possible in enumerate(positions, 1):
        label = labels[number - 1] if labels else f"choice{number}"
        if _is_numeric(possible):
            names.append(label)
        else:
            names += [f"{label}[{name}]" for name in possible]
    return tuple(names)


def choice_features(
    positions: Sequence[Sequence[str]],
    rows: Sequence[Sequence[str | None]],
    labels: Sequence[str] = (),
) -> NDArray[np.float64]:
    """Return the features (n, features) of ``rows`` of choices, in the order of the names.

    A choice that is None adds nothing: its features are 0.
    """
    counted = _counted(positions)
    numeric = {i for i, possible in enumerate(positions) if _is_numeric(possible)}
    sums = _sums(positions, labels).values()
    table = []
    for row in rows:
        named = [name for i, name in enumerate(row) if i not in numeric]
        values = [float(named.count(name)) for name in counted]
        values += [sum(float(row[i] or 0) for i in members) for members in sums]
        for i, (choice, possible) in enumerate(zip(row, positions, strict=True)):
            if i in numeric:
                values.append(float(choice or 0))
            else:
                values += [float(choice == name) for name in possible]
        table.append(values)
    return np.array(table)


def _sums(positions: Sequence[Sequence[str]], labels: Sequence[str]) -> dict[str, list[int]]:
    """Return the sums of numbers by name, with the positions that each adds up."""
    numeric = [i for i, possible in enumerate(positions) if _is_numeric(possible)]
    if not labels:
        return {"sum": numeric} if numeric else {}
    kinds: dict[str, list[int]] = {}
    for i in numeric:
        kinds.setdefault(re.sub(r"\d+$", "", labels[i]), []).append(i)
    return {f"sum[{kind}]": members for kind, members in kinds.items() if len(members) > 1}


def _counted(positions: Sequence[Sequence[str]]) -> list[str]:
    """Return the names that are no numbers, each once."""
    names = [name for possible in positions if not _is_numeric(possible) for name in possible]
    return list(dict.fromkeys(names))


def _is_numeric(possible: Sequence[str]) -> bool:
    try:
        return bool(np.isfinite([float(name) for name in possible]).all())
    except ValueError:
        return False
