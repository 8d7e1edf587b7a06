"""A user's own modules, which register search spaces, proxies, algorithms or data sets."""

from __future__ import annotations

from collections.abc import Sequence

from nas_search.core.importing import import_own


def import_plugins(modules: Sequence[str]) -> None:
    """Import ``modules``, from the working folder too, whichever way the command was started.

    Raises:
        InputError: one cannot be imported.
    """
    for module in modules:
        import_own(module, "plugins")
