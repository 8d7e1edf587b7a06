"""What a bridge is: somewhere else where a search is looked at while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nas_search.core.registry import Registry


class Bridge(Protocol):
    """Is told numbers, and keeps them until :meth:`close` has returned."""

    def evaluation(self, number: int, values: Mapping[str, float]) -> None:
        """Tell what the evaluation of that number (from 1) has brought, see :mod:`.told`."""
        ...

    def epoch(self, training: str, number: int, values: Mapping[str, float]) -> None:
        """Tell a row of the learning curve of a training, ``KEY/seed0``; epochs count from 1."""
        ...

    def close(self) -> None:
        """Write what is not yet written."""
        ...


Open = Callable[[Path, Mapping[str, Any], bool], Bridge]
"""Opens a bridge: given its own folder, which exists; the hyperparameters by dotted name; and
whether something was told before, by a search that is now continued."""


@dataclass(frozen=True)
class BridgeRecord:
    """A registered bridge.

    Attributes:
        name: the name in ``bridges=[...]``, and that of its folder in the folder of a run.
        package: Python package that it needs.
        extra: of this package, which brings it.
        open: see :data:`Open`. It may raise :class:`.InputError`.
        curves: whether it is told learning curves; false where trainings write them there
            themselves.
    """

    name: str
    package: str
    extra: str
    open: Open
    curves: bool = True


BRIDGES: Registry[BridgeRecord] = Registry("bridge", "nas_search.bridges")
