"""The pass that runs no network: what is known of a candidate beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from nas_search.core.errors import InputError
from nas_search.passes.base import PASSES, Facts, Outcome, Pass, Subject


def read_facts(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Return each candidate's facts.

    Raises:
        InputError: there are none.
    """
    if None in subject.facts:
        raise InputError("this score reads the candidate's Facts: hand them to measure()")
    return [[facts] for facts in subject.facts]


PASSES.add(Pass(name="facts", run=read_facts, provides=(Facts,), network="none"))
