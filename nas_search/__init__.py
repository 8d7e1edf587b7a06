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
    from nas_search.commands.run_search import run_search
    from nas_search.commands.search_schema import SearchConfig, read_config
    from nas_search.runs.architecture import Architecture, load
    from nas_search.scoring.score import score

# Imported on first use: a room that needs no torch can be imported without waiting for it.
_HOMES = {
    "Architecture": "nas_search.runs.architecture",
    "load": "nas_search.runs.architecture",
    "SearchConfig": "nas_search.commands.search_schema",
    "read_config": "nas_search.commands.search_schema",
    "run_search": "nas_search.commands.run_search",
    "score": "nas_search.scoring.score",
}

__all__ = [
    "Architecture",
    "SearchConfig",
    "__version__",
    "load",
    "read_config",
    "run_search",
    "score",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'nas_search' has no attribute '{name}'")
