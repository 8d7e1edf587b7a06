"""The contract of a proxy: a pure function of a measurement, and a record that says what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nas_search.gradients import Normalisation, Scheme
from nas_search.passes import Grams
from nas_search.proxies.measurement import Measurement
from nas_search.registry import Registry

Origin = Literal["paper", "reconstructed", "ours"]
"""``paper``: formula as published. ``reconstructed``: best supported reading of a paper whose own
formula was not available. ``ours``: not published elsewhere."""


@dataclass(frozen=True)
class ProxyRecord:
    """A registered score.

    Attributes:
        name: the name in ``proxy=...``.
        score: from a measurement to a number; higher is always better.
        normalisation: batch-norm statistics that the definition asks for; None where the score
            depends on none.
        origin: whose formula it is.
        source: where the formula stands.
        summary: one line that says what it measures.
        needs: kinds of results that it reads from the measurement, see :mod:`nas_search.passes`.
        init: distribution of the initial weights that the definition asks for.
        batch_size: n, images of the probe batch in the definition.
        repeats: draws of the initial weights over which the definition averages.
        formula: the score in one line.
        traps: where it goes wrong; empty where nothing is known.
        needs_pool: whether it ranks candidates against each other, see :mod:`.aggregate`; such a
            score has no value for one candidate.
        members: single scores whose ranks it is made of; empty where the user names them.
    """

    name: str
    score: Callable[[Measurement], float]
    normalisation: Normalisation | None
    origin: Origin
    source: str
    summary: str
    needs: tuple[type, ...] = (Grams,)
    init: Scheme = "default"
    batch_size: int = 64
    repeats: int = 1
    formula: str = ""
    traps: str = ""
    needs_pool: bool = False
    members: tuple[str, ...] = ()


PROXIES: Registry[ProxyRecord] = Registry("proxy", "nas_search.proxies")
