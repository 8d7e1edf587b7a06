"""What a search with several objectives leaves beside its leaderboard: the front and its growth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_search import report
from nas_search.core.files import write_csv
from nas_search.core.objectives import Objectives
from nas_search.search.fronts import Ranked, hypervolumes, losses, reference_point


def front_facts(ranked: Sequence[Ranked], objectives: Objectives) -> dict[str, Any]:
    """Return what ``summary.json`` says of a front; its hypervolume says nothing beside others.

    Each search measures from a reference point of its own, behind the front that it found.
    """
    first = [one.values for one in ranked if one.front == 1]
    if not first:
        return {"size": 0}
    points = losses(objectives, first)
    signs = [-objective.weight for objective in objectives]
    reference = [float(v * sign) for v, sign in zip(reference_point(points), signs, strict=True)]
    names = [objective.name for objective in objectives]
    return {
        "size": len(first),
        "hypervolume": float(hypervolumes(points, points)[-1]),
        "reference": dict(zip(names, reference, strict=True)),
    }


def write_front(
    ranked: Sequence[Ranked], objectives: Objectives, directory: Path, chosen: int
) -> None:
    """Write ``front.png`` and ``hypervolume.csv``; nothing where nothing was scored.

    Args:
        ranked: as :func:`.fronts.ranked_by_fronts` returns them.
        objectives: what was searched for.
        directory: where to.
        chosen: how many of the front are marked.

    Raises:
        OSError: the disk refuses.
    """
    if not ranked:
        return
    in_order = sorted(ranked, key=lambda one: one.number)
    front = losses(objectives, [one.values for one in ranked if one.front == 1])
    grown = hypervolumes(losses(objectives, [one.values for one in in_order]), front)
    volumes = [(one.number, float(v)) for one, v in zip(in_order, grown, strict=True)]
    write_csv(directory / "hypervolume.csv", ["number", "hypervolume"], volumes)
    report.front_plot(ranked, objectives, volumes, directory / "front.png", chosen)
