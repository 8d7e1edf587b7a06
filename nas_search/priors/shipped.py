"""The priors that the package brings, one file per search space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas_search.core.errors import InputError
from nas_search.priors.prior import Prior, load_prior
from nas_search.spaces import SearchSpace

FOLDER = Path(__file__).parent / "shipped"
ENDING = ".prior"


def shipped_names() -> list[str]:
    """Return the search spaces that have a prior in the package."""
    return sorted(path.stem for path in FOLDER.glob(f"*{ENDING}"))


def shipped_path(name: str) -> Path:
    """Return the file of the package's prior of a search space.

    Raises:
        InputError: there is none.
    """
    if name not in shipped_names():
        raise InputError(
            f"the package has no prior of search_space={name}, only of "
            f"{', '.join(shipped_names())}; make one of your own trainings: "
            "python -m nas_search.learn"
        )
    return FOLDER / f"{name}{ENDING}"


def shipped_prior(space: SearchSpace[Any]) -> Prior:
    """Return the package's prior of a search space.

    Raises:
        InputError: there is none.
    """
    return load_prior(shipped_path(space.name), space)
