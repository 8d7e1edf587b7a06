"""The versions and the hardware that results depend on."""

from __future__ import annotations

import platform

import numpy as np
import torch

import nas_search


def versions() -> dict[str, str]:
    """Return the versions by name, as stored with a run."""
    return {
        "nas_search": nas_search.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
