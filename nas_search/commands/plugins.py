"""A user's own modules, which register search spaces, proxies, algorithms or data sets."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from nas_search.commands.reading import first_line
from nas_search.core.errors import InputError


def import_plugins(modules: Sequence[str]) -> None:
    """Import ``modules``, from the working folder too, whichever way the command was started.

    Raises:
        InputError: one cannot be imported.
    """
    here = str(Path.cwd())
    if modules and not {"", here} & set(sys.path):
        sys.path.insert(0, here)  # as ``python -m`` does and a console script does not
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # somebody else's code
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise InputError(f"plugins: cannot import '{module}' ({reason})") from error
