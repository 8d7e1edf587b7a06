"""Columns of scores that a prior goes into: fitted to accuracies, so in a group of their own."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from nas_search.priors import PRIOR, SCORE_AND_PRIOR, Prior, combined
from nas_search.ranking.ranking import Column


def fitted_columns(
    names: Sequence[str],
    prior: Prior,
    architectures: Sequence[Hashable],
    measured: Sequence[Column],
) -> list[Column]:
    """Return the columns of ``names``, those of :data:`nas_search.priors.FITTED` among others.

    A prior does not depend on seeds and takes no time worth telling: it has the same column for
    each. Joined with a score it has one per seed, NaN where the score is missing.

    Args:
        names: of scores, fitted or not.
        prior: what trained networks have taught.
        architectures: (n) genotypes.
        measured: columns of the scores that it is joined with, by seed and their mean.
    """
    prediction, _ = prior.predict(architectures)
    columns = []
    for name in names:
        if name == PRIOR:
            seeds = dict.fromkeys(column.seed for column in measured)
            columns += [Column(name, "fitted", seed, prediction, 0.0) for seed in seeds]
        if name in SCORE_AND_PRIOR:
            score = SCORE_AND_PRIOR[name]
            for column in (one for one in measured if one.name == score):
                scored = np.isfinite(column.values)
                values = np.full(len(prediction), np.nan)
                values[scored] = combined(prior, prediction[scored], score, column.values[scored])
                columns.append(Column(name, "fitted", column.seed, values, column.seconds))
    return columns
