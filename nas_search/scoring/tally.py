"""What becomes of one candidate: its scores, summed up over draws, and why some are missing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation, Status
from nas_search.passes import DeadNetwork
from nas_search.proxies import Measurement, ProxyRecord
from nas_search.scoring.formula import NoNumber, failure, number
from nas_search.spaces import Cost


class Tally:
    """The scores of one candidate, averaged over the task's initial draws.

    A score is there if it could be computed in all of them; a failing pass or formula does not
    affect the others.

    Args:
        proxies: names of the scores.
        repeats: number of draws.
    """

    def __init__(self, proxies: tuple[str, ...], repeats: int) -> None:
        self._repeats = repeats
        self._totals = dict.fromkeys(proxies, 0.0)
        self._missing: dict[str, Exception] = {}

    def take(self, record: ProxyRecord, score: Callable[[], float]) -> None:
        """Add what ``score`` returns: what ``record`` makes of one draw's measurement.

        Raises:
            InputError: no candidate of the task can have the score.
        """
        try:
            self._totals[record.name] += number(score()) / self._repeats
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # somebody's formula, or the pass behind it
            self._missing.setdefault(record.name, failure(error))

    def scores(self) -> dict[str, float]:
        """Return the scores that are there."""
        missing = self.missing()
        return {name: total for name, total in self._totals.items() if name not in missing}

    def missing(self) -> dict[str, Exception]:
        """Return why the others are not, by name."""
        odd = {
            name: NoNumber(f"the score is {total}")
            for name, total in self._totals.items()
            if not isfinite(total)
        }
        found = {**odd, **self._missing}
        return {name: found[name] for name in self._totals if name in found}


def take_scores(
    tallies: Iterable[Tally],
    measurements: Sequence[Measurement],
    records: Iterable[ProxyRecord],
) -> None:
    """Add what ``records`` make of one draw's measurements of a stack, each to its own tally.

    Raises:
        InputError: no candidate of the task can have one of the scores.
    """
    tallies = list(tallies)
    for record in records:
        ready = _scored_together(record, measurements)
        for place, (tally, measurement) in enumerate(zip(tallies, measurements, strict=True)):
            if place in ready:
                tally.take(record, partial(ready.__getitem__, place))
            else:
                tally.take(record, partial(record.score, measurement))


def _scored_together(record: ProxyRecord, measurements: Sequence[Measurement]) -> dict[int, float]:
    """Return the scores that come out in calls for several candidates; the others come alone."""
    complete = [n for n, own in enumerate(measurements) if own.has(record.needs)]
    if record.scores is None or len(complete) < 2:
        return {}
    try:
        scores = record.scores(*(measurements[number] for number in complete))
        return dict(zip(complete, scores, strict=True))
    except Exception:  # whosever it is shows when each is scored alone
        return {}


@dataclass(frozen=True)
class Candidate:
    """What is known of a genotype before it is scored.

    Attributes:
        genotype: itself.
        key: its canonical form.
        cost: size of the network that is scored.
        costs: costs that were asked for, by name, at the sizes that the task names.
        violation: which constraint rules it out; empty when none does.
    """

    genotype: Hashable
    key: str
    cost: Cost
    costs: Mapping[str, float]
    violation: str

    def evaluation(self, tally: Tally, seconds: float) -> Evaluation:
        """Return the evaluation that follows from the scores, and from what went wrong."""
        scores: dict[str, float] = {}
        status: Status = "rejected"
        reason = self.violation
        if not self.violation:
            scores, missing = tally.scores(), tally.missing()
            died = all(isinstance(error, DeadNetwork) for error in missing.values())
            status = "ok" if not missing else "dead" if died else "failed"
            reason = _why(missing, several=len(scores) + len(missing) > 1)
        cost, text = self.cost, str(self.genotype)
        return Evaluation(
            genotype=text,
            key=self.key,
            status=status,
            scores=scores,
            params=cost.params,
            macs=cost.macs,
            costs=dict(self.costs),
            seconds=seconds,
            reason=reason,
        )


def _why(missing: Mapping[str, Exception], several: bool) -> str:
    """Return in one line why scores are missing, and which where ``several`` were asked for."""
    names: dict[str, list[str]] = {}
    for name, error in missing.items():
        names.setdefault(_reason(error), []).append(name)
    if not several:
        return "".join(names)
    return "; ".join(f"{', '.join(these)}: {reason}" for reason, these in names.items())


def _reason(error: Exception) -> str:
    """Return the first line of ``error``, with its type where the message is not ours."""
    lines = str(error).strip().splitlines()
    line = lines[0] if lines else "no message"
    known = isinstance(error, DeadNetwork | NoNumber)
    return line if known else f"{type(error).__name__}: {line}"
