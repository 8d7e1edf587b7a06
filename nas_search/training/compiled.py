"""Whether ``torch.compile`` works here, found out before the first epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_search.core.errors import InputError


def check_compile(device: str) -> None:
    """Compile and run a function of one line.

    Raises:
        InputError: it fails, e.g. since there is no C++ compiler.
    """

    def probe(x: Tensor) -> Tensor:
        return x.sin() + 1

    try:
        torch.compile(probe)(torch.ones(2, device=device))
    except Exception as error:  # torch's backends raise a dozen types
        reason = next((line for line in str(error).splitlines() if line.strip()), "no message")
        needed = "a C++ compiler, e.g. g++" if torch.device(device).type == "cpu" else "Triton"
        raise InputError(
            f"recipe.compile=true does not work here ({type(error).__name__}: {reason.strip()}); "
            f"install {needed}, or set recipe.compile=false"
        ) from None
