"""Why a prior expects what it does of one architecture."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from nas_search.priors.forest import Array
from nas_search.priors.prior import COPIES, Prior, design, design_names

NEAR = "near trained cells"
"""Name of what processes add by how near the trained architectures are: no single feature's."""


class Effect(NamedTuple):
    """How much one feature raises or lowers a prediction.

    Attributes:
        feature: its name, e.g. ``normal.edges_from_input[skip_connect]``; or the name of a score;
            or :data:`NEAR`.
        value: what the architecture has of it; of :data:`NEAR`, how alike the most similar trained
            architecture is, 1 if their features are equal.
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
    forest. A score's lines, that beside the forest and that of a process, add to the effect of the
    score. What else a process says follows from the distance to every trained architecture, in all
    features together: it is one effect, :data:`NEAR`. So the effects sum to the prediction less
    ``prior.mean``, up to rounding. Features that move nothing are left out.

    Args:
        prior: the prior.
        architecture: genotype of its space, or text.
        scores: (1,) of each of ``prior.scores``.

    Raises:
        InputError: a score is missing or not finite, or the text is no architecture.
    """
    values = design(prior.space, [architecture], prior.scores, scores or {})
    moved = prior.rest * prior.forest.effects(values)[0]
    told = zip(
        design_names(prior.space, prior.scores), values[0].tolist(), moved.tolist(), strict=True
    )
    found: dict[str, Effect] = {}
    for name, value, effect in (*told, *_beside(prior, values)):
        before = found[name].effect if name in found else 0.0  # the columns of one score
        found[name] = Effect(name, value, before + effect)
    moving = [one for one in found.values() if one.effect]
    return sorted(moving, key=lambda one: -abs(one.effect))


def _beside(prior: Prior, values: Array) -> list[Effect]:
    """Return what line and processes add to the prediction of one architecture, (1, columns)."""
    if prior.line is None:
        return []
    structure, known = prior.split(values)
    lines = prior.rest * prior.line.parts(known)[0]
    near, nearest = 0.0, 0.0
    for share in prior.processes:
        weight, process = share.weight, share.process
        straight = weight * process.from_lines(known)[0]
        (mean,), _ = process.predict(structure, known)
        near += weight * (mean - process.mean) - float(straight.sum())
        lines = lines + straight
        alike = process.alike(structure, known).max() / process.kernel.amplitude
        nearest = max(nearest, float(alike))
    raw = values[0, structure.shape[1] :: COPIES].tolist()
    told = [Effect(*one) for one in zip(prior.scores, raw, lines.tolist(), strict=True)]
    return [*told, Effect(NEAR, nearest, near)]
