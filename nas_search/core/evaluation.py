"""What is known of one candidate after it was looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Status = Literal["ok", "rejected", "dead", "failed"]
"""``ok``: it has every score that was asked for. ``rejected``: a constraint ruled it out before
scoring. ``dead``: under a definition its output does not depend on the image, or no gradient
reaches its weights. ``failed``: a score raised an error or gave a number that is not finite. Where
several scores are asked for and miss for different reasons, an error outweighs death."""

STATUSES: tuple[str, ...] = get_args(Status)


@dataclass(frozen=True)
class Evaluation:
    """One candidate's outcome; a failure is a value with a reason.

    Attributes:
        genotype: text form of the genotype.
        key: canonical form; equal exactly for genotypes that are the same network.
        status: see :data:`Status`.
        scores: score by proxy name, finite, higher is better: all that were asked for where
            ``status`` is ``ok``, else those that could be computed, often none. A search asks for
            one; only ``ok`` enters a population.
        params: number of trainable parameters of the network that was scored.
        macs: its multiply-accumulates for one image.
        seconds: wall-clock time of the evaluation.
        reason: why it is not ``ok``, one line; names the scores that are missing where several
            were asked for.
    """

    genotype: str
    key: str
    status: Status
    scores: dict[str, float] = field(default_factory=dict)
    params: int | None = None
    macs: int | None = None
    seconds: float = 0.0
    reason: str = ""
