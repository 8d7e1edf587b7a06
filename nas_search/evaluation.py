"""What is known of one candidate after it was looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Status = Literal["ok", "rejected", "dead", "failed"]
"""``ok``: it has scores. ``rejected``: a constraint ruled it out before scoring. ``dead``: its
output does not depend on the image, or no gradient reaches its weights. ``failed``: scoring it
raised an error or gave a number that is not finite."""

STATUSES: tuple[str, ...] = get_args(Status)


@dataclass(frozen=True)
class Evaluation:
    """One candidate's outcome; a failure is a value with a reason.

    Attributes:
        genotype: text form of the genotype.
        key: canonical form; equal exactly for genotypes that are the same network.
        status: see :data:`Status`.
        scores: score by proxy name, higher is better; empty unless ``status`` is ``ok``.
        params: number of trainable parameters of the network that was scored.
        macs: its multiply-accumulates for one image.
        seconds: wall-clock time of the evaluation.
        reason: why it is not ``ok``; one line.
    """

    genotype: str
    key: str
    status: Status
    scores: dict[str, float] = field(default_factory=dict)
    params: int | None = None
    macs: int | None = None
    seconds: float = 0.0
    reason: str = ""
