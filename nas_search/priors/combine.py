"""A score and a prior in one number, which does not depend on what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_search.core.errors import InputError
from nas_search.priors.forest import Array
from nas_search.priors.prior import Prior


def combined(prior: Prior, prediction: Array, score: str, values: Sequence[float] | Array) -> Array:
    """Return the mean of prediction and score, both standardized, (n,).

    Each is in standard deviations over random architectures of the space, by scales that are
    stored with the prior, and both weigh the same: the number of an architecture stays the same
    whatever population it is in.

    Args:
        prior: has a reference of the score.
        prediction: (n,) as :meth:`.Prior.predict` gives them.
        score: name of the score.
        values: (n,) of the score.

    Raises:
        InputError: the prior has no reference of the score.
    """
    if score not in prior.references:
        raise InputError(
            f"this prior of search_space={prior.space.name} does not say how {score} is "
            "distributed over random architectures; take proxy=prior"
        )
    standardized = prior.references[score].standardized(values)
    return np.asarray((prior.standardized(prediction) + standardized) / 2)
