"""Evolutionary neural architecture search by per-sample gradient alignment, without training.

The command is ``python -m nas_search``; from Python::

    import nas_search

    network = nas_search.load("outputs/.../best.json").build()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nas_search.architecture import Architecture, load
    from nas_search.config import SearchConfig, read_config
    from nas_search.run import run_search

# Imported on first use: a room that needs no torch can be imported without waiting for it.
_HOMES = {
    "Architecture": "nas_search.architecture",
    "load": "nas_search.architecture",
    "SearchConfig": "nas_search.config",
    "read_config": "nas_search.config",
    "run_search": "nas_search.run",
}

__all__ = ["Architecture", "SearchConfig", "__version__", "load", "read_config", "run_search"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'nas_search' has no attribute '{name}'")
