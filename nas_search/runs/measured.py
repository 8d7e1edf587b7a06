"""Latencies that were measured of a search's architectures, and which architectures they exclude.

A search goes by predicted latencies. Of its best the latency is measured for real, and one whose
measurement breaks a bound is no result of the search, though its evaluation stays what it was.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.text import read_text

FILE = "latency.json"
"""What was measured, in the folder of a run: a continued run measures nothing twice."""


def read_measured(directory: Path) -> dict[str, dict[str, Any]]:
    """Return what was measured of a run's best architectures, by genotype; see ``Timing``.

    Raises:
        InputError: the file is broken.
    """
    file = directory / FILE
    if not file.exists():
        return {}
    try:
        best = json.loads(read_text(file)).get("best", {})
        return {
            text: {**one, "milliseconds": float(one["milliseconds"])} for text, one in best.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{file} holds no measurements ({error}); delete it") from None


def broken_bound(milliseconds: float, bounds: Mapping[str, float]) -> str:
    """Return which bound a measured latency breaks, as part of a sentence; empty if none.

    Args:
        milliseconds: what was measured.
        bounds: of the search, by key; those of other costs are not looked at.
    """
    most, least = bounds.get("max_latency_ms"), bounds.get("min_latency_ms")
    if most is not None and milliseconds > most:
        return f"more than constraints.max_latency_ms={most:g}"
    if least is not None and milliseconds < least:
        return f"less than constraints.min_latency_ms={least:g}"
    return ""


def within(
    evaluations: Sequence[Evaluation],
    measured: Mapping[str, Mapping[str, Any]],
    bounds: Mapping[str, float],
) -> list[Evaluation]:
    """Return the evaluations; those measured outside the bounds are ``rejected``, with the reason.

    Args:
        evaluations: of a search.
        measured: see :func:`read_measured`.
        bounds: of the search, by key.
    """
    return [_judged(one, measured.get(one.genotype), bounds) for one in evaluations]


def _judged(
    evaluation: Evaluation, timing: Mapping[str, Any] | None, bounds: Mapping[str, float]
) -> Evaluation:
    broken = broken_bound(timing["milliseconds"], bounds) if timing is not None else ""
    if timing is None or not broken or evaluation.status != "ok":
        return evaluation
    reason = f"measured: {timing['milliseconds']:.4g} ms, {broken}"
    return dataclasses.replace(evaluation, status="rejected", reason=reason)
