"""Garbage collection in processes that do nothing but score."""

from __future__ import annotations

import gc


def keep_imports() -> None:
    """Exempt all objects that exist from garbage collection: what imports made lives on.

    A full collection walks every object of the process. Those of torch alone take it a quarter of a
    second, every ten to twenty networks: a sixth of the time of a search on one CPU core.
    """
    gc.collect()
    gc.freeze()
