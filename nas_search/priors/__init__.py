"""Priors: what trained architectures have taught about structure, to rank new ones of a space."""

from nas_search.priors.combine import FITTED, PRIOR, SCORE_AND_PRIOR, combined
from nas_search.priors.effects import Effect, effects
from nas_search.priors.fit import FEWEST_TRAININGS, fit_prior
from nas_search.priors.prior import Prior, load_prior
from nas_search.priors.shipped import shipped_path, shipped_prior

__all__ = [
    "Effect",
    "FEWEST_TRAININGS",
    "FITTED",
    "PRIOR",
    "Prior",
    "SCORE_AND_PRIOR",
    "combined",
    "effects",
    "fit_prior",
    "load_prior",
    "shipped_path",
    "shipped_prior",
]
