"""The contract of a proxy: a pure function of a measurement, and a record that says what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nas_search.core.registry import Registry
from nas_search.gradients import Normalization, Scheme
from nas_search.passes.per_sample import Grams
from nas_search.proxies.measurement import Measurement

Origin = Literal["paper", "reconstructed", "ours"]
"""``paper``: formula as published. ``reconstructed``: best supported reading of a paper whose own
formula was not available. ``ours``: not published elsewhere."""


@dataclass(frozen=True)
class ProxyRecord:
    """A registered score.

    Attributes:
        name: the name in ``proxy=...``.
        score: from a measurement to a number; higher is always better.
        normalization: batch-norm statistics that the definition asks for; None where the score
            depends on none.
        origin: whose formula it is.
        source: where the formula stands.
        summary: one line that says what it measures.
        needs: kinds of results that it reads from the measurement, see :mod:`nas_search.passes`.
        init: distribution of the initial weights that the definition asks for.
        batch_size: n, images of the probe batch in the definition.
        repeats: draws of the initial weights over which the definition averages.
        formula: the score in one line.
        caveats: where it goes wrong; empty where nothing is known.
        fitted: whether accuracies of trained networks went into it.
    """

    name: str
    score: Callable[[Measurement], float]
    normalization: Normalization | None
    origin: Origin
    source: str
    summary: str
    needs: tuple[type, ...] = (Grams,)
    init: Scheme = "default"
    batch_size: int = 64
    repeats: int = 1
    formula: str = ""
    caveats: str = ""
    fitted: bool = False


PROXIES: Registry[ProxyRecord] = Registry("proxy", "nas_search.proxies")
