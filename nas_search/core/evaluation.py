"""The result of evaluating one candidate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Status = Literal["ok", "rejected", "dead", "failed"]
"""``ok``: it has every requested score. ``rejected``: a constraint excluded it before scoring.
``dead``: its output does not depend on the image, or no gradient reaches its weights, under the
definition of a score. ``failed``: a score raised an error or was not finite. If several requested
scores are missing for different reasons, ``failed`` takes precedence over ``dead``."""

STATUSES: tuple[str, ...] = get_args(Status)


@dataclass(frozen=True)
class Evaluation:
    """Status, scores and cost of one candidate; a failure is a value with a reason.

    Attributes:
        genotype: text form of the genotype.
        key: canonical form; equal exactly for genotypes that are the same network.
        status: see :data:`Status`.
        scores: score by proxy name, finite, higher is better: all requested ones if ``status`` is
            ``ok``, otherwise those that could be computed, often none. A search requests one;
            only ``ok`` enters a population.
        params: number of trainable parameters of the scored network.
        macs: multiply-accumulates of that network for one image.
        seconds: wall-clock time of the evaluation.
        reason: one line on why it is not ``ok``; names the missing scores if several were
            requested.
        costs: costs by name (:mod:`nas_search.costs`) that were asked for, lower is better, of the
            network at the sizes that ``constraints.at`` names.
    """

    genotype: str
    key: str
    status: Status
    scores: dict[str, float] = field(default_factory=dict)
    params: int | None = None
    macs: int | None = None
    seconds: float = 0.0
    reason: str = ""
    costs: dict[str, float] = field(default_factory=dict)
