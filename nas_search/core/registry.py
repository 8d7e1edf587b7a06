"""A registry of names: one frozen record per name, discovered in a room's own files."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from nas_search.core.errors import InputError


class Named(Protocol):
    """What a registry holds: any record with a name."""

    @property
    def name(self) -> str:
        """The name that users write."""
        ...


Record = TypeVar("Record", bound=Named)


class Registry(Generic[Record]):
    """Records by name.

    A file that is dropped into ``package`` and calls :meth:`add` at import is found without being
    listed anywhere: the package's modules are imported on the first look-up.

    Args:
        kind: what the records are called in messages, e.g. ``"search_space"``.
        package: dotted name of the package whose modules register the records.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._records: dict[str, Record] = {}
        self._discovered = False

    def add(self, record: Record) -> Record:
        """Register ``record`` under its name and return it.

        Raises:
            InputError: another record already has this name.
        """
        known = self._records.get(record.name)
        if known is not None and known != record:
            raise InputError(f"{self.kind} '{record.name}' is registered twice; rename one of them")
        self._records[record.name] = record
        return record

    def get(self, name: str) -> Record:
        """Return the record called ``name``.

        Raises:
            InputError: no such name; the message lists what is possible.
        """
        self._discover()
        try:
            return self._records[name]
        except KeyError:
            close = difflib.get_close_matches(name, self._records, n=1)
            hint = f" (did you mean '{close[0]}'?)" if close else ""
            raise InputError(
                f"unknown {self.kind} '{name}'{hint}; possible: {', '.join(self.names())}"
            ) from None

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        self._discover()
        return sorted(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter([self.get(name) for name in self.names()])

    @contextmanager
    def temporarily(self, *records: Record) -> Iterator[None]:
        """Register ``records`` within a ``with`` block, in place of others of the same name.

        Whatever else is registered within the block is forgotten after it, too.
        """
        self._discover()
        before = dict(self._records)
        self._records.update({record.name: record for record in records})
        try:
            yield
        finally:
            self._records = before

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
