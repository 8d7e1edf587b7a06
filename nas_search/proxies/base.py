"""The contract of a proxy: a pure function of a measurement, and a record that says what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nas_search.gradients import Normalisation
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
        normalisation: batch-norm statistics that the definition asks for.
        origin: whose formula it is.
        source: where the formula stands.
        summary: one line that says what it measures.
    """

    name: str
    score: Callable[[Measurement], float]
    normalisation: Normalisation
    origin: Origin
    source: str
    summary: str


PROXIES: Registry[ProxyRecord] = Registry("proxy", "nas_search.proxies")
