"""Features of architectures that are one choice per position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def choice_names(positions: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return ``count[name]`` per name, then ``choice1[name]`` per position and name.

    Where all names of a position are numbers, it has one feature, ``choice1``; the names of numbers
    are not counted, and the sum of all of them is ``sum``.
    """
    names = [f"count[{name}]" for name in _counted(positions)]
    if any(map(_is_numeric, positions)):
        names.append("sum")
    for number, possible in enumerate(positions, 1):
        if _is_numeric(possible):
            names.append(f"choice{number}")
        else:
            names += [f"choice{number}[{name}]" for name in possible]
    return tuple(names)


def choice_features(
    positions: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """Return the features (n, features) of ``rows`` of choices, in the order of the names."""
    counted = _counted(positions)
    numeric = [i for i, possible in enumerate(positions) if _is_numeric(possible)]
    table = []
    for row in rows:
        named = [name for i, name in enumerate(row) if i not in numeric]
        values = [float(named.count(name)) for name in counted]
        if numeric:
            values.append(sum(float(row[i]) for i in numeric))
        for i, (choice, possible) in enumerate(zip(row, positions, strict=True)):
            if i in numeric:
                values.append(float(choice))
            else:
                values += [float(choice == name) for name in possible]
        table.append(values)
    return np.array(table)


def _counted(positions: Sequence[Sequence[str]]) -> list[str]:
    """Return the names that are no numbers, each once."""
    names = [name for possible in positions if not _is_numeric(possible) for name in possible]
    return list(dict.fromkeys(names))


def _is_numeric(possible: Sequence[str]) -> bool:
    try:
        return bool(np.isfinite([float(name) for name in possible]).all())
    except ValueError:
        return False
