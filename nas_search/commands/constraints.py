"""The group ``constraints``: bounds on costs, and the sizes at which they are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nas_search.commands.reading import check_keys, read_as
from nas_search.core.errors import InputError
from nas_search.costs import At, bound_keys
from nas_search.costs.at import deployed_sizes, read_at
from nas_search.scoring import Constraints
from nas_search.spaces import SearchSpace
from nas_search.training.recipe import Recipe

SCORED = "scored"
"""``constraints.at=scored``: costs of the network that is scored."""


@dataclass(frozen=True)
class ConstraintsConfig:
    """The group, read; the sizes of the images are not known yet.

    Attributes:
        bounds: by key, see :class:`nas_search.scoring.Constraints`.
        also: costs that are kept though nothing bounds them.
        at: sizes by name; ``scored``; or None for those that the recipe trains.
    """

    bounds: dict[str, float] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    at: dict[str, Any] | str | None = None


@dataclass(frozen=True)
class _Kept:
    """The key of the group that is a list."""

    costs: list[str]


def read_constraints(values: Mapping[str, Any]) -> ConstraintsConfig:
    """Return the group ``constraints``.

    Raises:
        InputError: there is no such key or cost, or a value is impossible.
    """
    keys = bound_keys()
    check_keys("constraints", values, [*keys, "at", "costs"])
    bounds = {}
    for key in keys:
        value = values.get(key)
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(f"constraints.{key}: Value '{value}' must be a number")
            bounds[key] = value
    at = values.get("at")
    if at is not None and at != SCORED and not isinstance(at, dict):
        raise InputError(
            f"constraints.at={at} must be sizes, e.g. constraints.at={{input_size:32}}, "
            f"{SCORED} or null"
        )
    kept = read_as(_Kept, "constraints", {"costs": values.get("costs") or []})
    config = ConstraintsConfig(bounds, tuple(kept.costs), at)
    Constraints(config.bounds, config.also)  # refuses what is impossible
    return config


def keeping(config: ConstraintsConfig, costs: Sequence[str]) -> ConstraintsConfig:
    """Return the group with further costs to keep: those that are objectives."""
    return replace(config, also=tuple(dict.fromkeys((*config.also, *costs))))


def resolve_constraints(
    config: ConstraintsConfig,
    space: SearchSpace[Any],
    scored: At,
    recipe: Recipe | None,
) -> Constraints:
    """Return the constraints at their sizes.

    Args:
        config: the group.
        space: the search space.
        scored: the network that is scored.
        recipe: by which finalists are trained; its ``network`` names the sizes by default.

    Raises:
        InputError: there is no such size.
    """
    known = deployed_sizes(space, {**scored.macro, **((recipe and recipe.network) or {})})
    trained = At(scored.input_shape, scored.num_classes, known)
    if config.at == SCORED:
        macro = deployed_sizes(space, scored.macro)
        at = At(scored.input_shape, scored.num_classes, macro)
    else:
        at = read_at(
            space, trained, config.at if isinstance(config.at, dict) else {}, "constraints.at"
        )
    return Constraints(config.bounds, config.also, at)


def constraint_facts(constraints: Constraints, scored: At) -> dict[str, Any]:
    """Return what of the constraints defines the history of a search.

    Where nothing is bounded or kept, as in the versions that knew two bounds alone: their runs can
    be continued.
    """
    if not constraints.names:
        return {"max_params": None, "max_macs": None}
    at = (constraints.at or scored).as_dict()
    return {**constraints.bounds, "costs": list(constraints.names), "at": at}
