"""What the package's prior of a search space likes and dislikes in the best cell."""

from __future__ import annotations

import math
from typing import Any

from nas_search.core.errors import InputError
from nas_search.pages.chart import Chart, Grid, Mark
from nas_search.pages.evolution import scored
from nas_search.pages.found import Ranked
from nas_search.pages.page import number
from nas_search.pages.section import Section
from nas_search.priors import effects, shipped_prior
from nas_search.priors.shipped import shipped_names
from nas_search.runs.run import Run
from nas_search.spaces import SearchSpace

SHOWN = 12
"""Features in the chart, those that move most; the table has all."""

LOOKED_AT = 300
"""Candidates whose prediction is drawn, evenly spaced over the search."""


def prior_section(run: Run, space: SearchSpace[Any], ranked: Ranked) -> Section | None:
    """Return the section; None where the package has no prior of the space, or nothing is scored.

    A prior file that the run names is not read: a folder may come from a stranger.
    """
    if not ranked or space.name not in shipped_names():
        return None
    try:
        prior = shipped_prior(space)
        best = ranked[0][1].genotype
        found = effects(prior, best)
        expected = float(prior.standardized(prior.predict([best])[0])[0])
        everyone = scored(run)
        looked = everyone[:: max(1, math.ceil(len(everyone) / LOOKED_AT))]
        genotypes = [evaluation.genotype for _, evaluation in looked]
        predicted = prior.standardized(prior.predict(genotypes)[0]).tolist()
    except InputError:  # one of the genotypes is none of this space
        return None
    return Section(
        "prior",
        "What the prior says of it",
        "A prior is what trained networks have taught about structure, apart from the score. Of "
        f"number 1 the package's prior of {space.name} expects {number(expected, 3)} standard "
        "deviations against a random architecture; the features of its cells that move this most "
        "are below.",
        (
            Chart(
                "effects",
                "Features that raise or lower what the prior expects",
                f"The {min(SHOWN, len(found))} largest of {len(found)} effects; all add up to "
                "what is expected, against the mean of the trainings.",
                ("feature", "effect", "value"),
                [[one.feature, one.effect, one.value] for one in found[:SHOWN]],
                (Mark("bars", "feature", "effect", "effect"),),
                "",
                "effect",
                hover=("feature", "effect", "value"),
                categories=True,
            ),
            Chart(
                "score-prior",
                f"{run.score} against the prior",
                "Where both agree, the dots rise to the right; top right is liked by both.",
                ("number", "prior", run.score),
                [
                    [n, value, evaluation.scores[run.score]]
                    for (n, evaluation), value in zip(looked, predicted, strict=True)
                ],
                (Mark("dots", "prior", run.score, "candidates"),),
                "prior, standard deviations",
                run.score,
                "number",
                ("number", run.score, "prior", "genotype"),
            ),
        ),
        (
            Grid(
                "effects",
                "effects of all features",
                ("feature", "value", "effect"),
                [[one.feature, one.value, one.effect] for one in found],
            ),
        ),
    )
