"""A registry: one frozen record per name, discovered in the modules of a package."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean


class Named(Protocol):
    """The type of records: anything with a name."""

    @property
    def name(self) -> str:
        """The name in the configuration."""
        ...


Record = TypeVar("Record", bound=Named)


class Registry(Generic[Record]):
    """Records by name.

    The modules of ``package`` are imported on the first look-up, so a file in it that calls
    :meth:`add` at import need not be listed anywhere.

    Args:
        kind: name of the kind of records in messages, e.g. ``"search_space"``.
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
        present = self._records.get(record.name)
        if present is not None and present != record:
            raise InputError(f"{self.kind} '{record.name}' is registered twice; rename one of them")
        self._records[record.name] = record
        return record

    def get(self, name: str) -> Record:
        """Return the record called ``name``.

        Raises:
            InputError: no such name; the message lists the possible ones.
        """
        self._discover()
        try:
            return self._records[name]
        except KeyError:
            raise InputError(
                f"unknown {self.kind} '{name}'{did_you_mean(name, self._records)}; possible: "
                f"{', '.join(self.names())}"
            ) from None

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        self._discover()
        return sorted(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter([self._records[name] for name in self.names()])

    @contextmanager
    def temporarily(self, *records: Record) -> Iterator[None]:
        """Register ``records`` within a ``with`` block, replacing others of the same name.

        The records registered by other means within the block are removed after it, too.
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
