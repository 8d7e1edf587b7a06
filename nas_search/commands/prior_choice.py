"""Which prior a key chooses: the package's own, none, or a file."""

from __future__ import annotations

from typing import Any

from nas_search.core.errors import InputError
from nas_search.priors import Prior, load_prior, shipped_prior
from nas_search.priors.shipped import shipped_names
from nas_search.spaces import SearchSpace


def read_prior(key: str, wanted: str, space: SearchSpace[Any]) -> Prior | None:
    """Return the prior of structure alone that ``key=wanted`` chooses; None for none.

    Args:
        key: for messages.
        wanted: ``auto`` (the package's own of the search space, if it has one), ``none``, a file.
        space: the search space.

    Raises:
        InputError: there is no such file, it is of another space, or it takes scores.
    """
    if wanted == "none" or (wanted == "auto" and space.name not in shipped_names()):
        return None
    prior = shipped_prior(space) if wanted == "auto" else load_prior(wanted, space)
    if prior.scores:
        raise InputError(
            f"{key}={wanted} takes scores ({', '.join(prior.scores)}); choose one of structure "
            "alone"
        )
    return prior
