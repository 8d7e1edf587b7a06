"""Import a user's own modules, from the working folder too."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from nas_search.core.errors import InputError


def import_own(module: str, key: str) -> ModuleType:
    """Import a module of the user, whichever way the program was started.

    Args:
        module: dotted name.
        key: the key of the configuration that names it, for messages.

    Raises:
        InputError: it cannot be imported.
    """
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)  # as ``python -m`` does and a console script does not
    try:
        return importlib.import_module(module)
    except Exception as error:  # somebody else's code
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
        raise InputError(f"{key}: cannot import '{module}' ({reason})") from error
