"""A score and a prior in one number, which does not depend on what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_search.priors.forest import Array
from nas_search.priors.prior import Prior

PRIOR = "prior"
"""Name of a prior's prediction among the scores of a candidate."""

SCORE_AND_PRIOR = {"gradalign_prior": "gradalign"}
"""Scores that join a prior with a measured score, by name, and the score that each measures."""

FITTED = (PRIOR, *SCORE_AND_PRIOR)
"""Names of all scores that a prior goes into."""


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
    standardized = prior.reference(score).standardized(values)
    return np.asarray((prior.standardized(prediction) + standardized) / 2)
