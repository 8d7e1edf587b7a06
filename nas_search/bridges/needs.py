"""Packages of an extra: asked for only where they are wanted."""

from __future__ import annotations

import importlib.util

from nas_search.core.errors import InputError
from nas_search.core.installed import how_to_install


def need(package: str, extra: str, wanted_by: str) -> None:
    """Refuse where a package is not installed.

    Args:
        package: its name in Python.
        extra: of this package that brings it.
        wanted_by: what was typed.

    Raises:
        InputError: it is not; the message says what installs it.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(f"{wanted_by} needs {package}: {how_to_install(extra)}")
