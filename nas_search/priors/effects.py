"""Why a prior expects what it does of one architecture."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from nas_search.priors.forest import Array
from nas_search.priors.prior import Prior, design, design_names


class Effect(NamedTuple):
    """How much one feature raises or lowers a prediction.

    Attributes:
        feature: its name, e.g. ``normal.edges_from_input[skip_connect]``; or the name of a score.
        value: what the architecture has of it.
        effect: by how much the prediction moves, in its unit; below 0 it is lowered.
    """

    feature: str
    value: float
    effect: float


def effects(
    prior: Prior,
    architecture: Hashable,
    scores: Mapping[str, Sequence[float] | Array] | None = None,
) -> list[Effect]:
    """Return what each feature adds to the prediction of one architecture, largest first.

    On the way down a tree every split moves the mean of the trainings that are left; the move is
    the effect of the feature that is split on (Saabas, 2014), the mean over trees that of the
    forest. So the effects sum to the prediction less ``prior.forest.mean``, exactly. Features
    that move nothing are left out.

    Args:
        prior: the prior.
        architecture: genotype of its space, or text.
        scores: (1,) of each of ``prior.scores``.

    Raises:
        InputError: a score is missing or not finite, or the text is no architecture.
    """
    values = design(prior.space, [architecture], prior.scores, scores or {})
    moved = prior.forest.effects(values)[0]
    found: dict[str, Effect] = {}
    for name, value, effect in zip(
        design_names(prior.space, prior.scores), values[0].tolist(), moved.tolist(), strict=True
    ):
        before = found[name].effect if name in found else 0.0  # the columns of one score
        found[name] = Effect(name, value, before + effect)
    moving = [one for one in found.values() if one.effect]
    return sorted(moving, key=lambda one: -abs(one.effect))
