"""The evaluations of a search as trials of an Optuna study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objectives, values_of
from nas_search.runs.run import Run
from nas_search.spaces import SearchSpace


def trials_of(run: Run, space: SearchSpace[Any], start: int) -> Iterator[Any]:
    """Yield Optuna's ``FrozenTrial`` of each evaluation of a run from number ``start`` on (0: all).

    What has every objective is complete, everything else failed. A training within a search is a
    trial of its own, with the score that its candidate had got before.

    Args:
        run: the search.
        space: its search space, whose choices become the parameters.
        start: how many are left out.
    """
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState, create_trial

    for number, evaluation in enumerate(run.evaluations[start:], start + 1):
        values = value_of(run.objectives, run.evaluations, number)
        chosen = _parameters(space, evaluation)
        trial = create_trial(
            state=TrialState.COMPLETE if values else TrialState.FAIL,
            values=values,
            params={place: name for place, (name, _) in chosen.items()},
            distributions={
                place: CategoricalDistribution(names) for place, (_, names) in chosen.items()
            },
            user_attrs=attributes(number, evaluation),
        )
        assert trial.datetime_complete is not None
        trial.datetime_start = trial.datetime_complete - timedelta(seconds=evaluation.seconds)
        yield trial


def value_of(
    objectives: Objectives, evaluations: Sequence[Evaluation], number: int
) -> tuple[float, ...] | None:
    """Return the objectives of the evaluation of that number (from 1); None if it lacks one.

    A training has those that the same candidate got when it was scored.
    """
    evaluation = evaluations[number - 1]
    values = values_of(objectives, evaluation)
    if values is None and evaluation.status == "ok":
        earlier = (e for e in evaluations[: number - 1] if e.key == evaluation.key)
        values = next(filter(None, (values_of(objectives, e) for e in earlier)), None)
    return values


def attributes(number: int, evaluation: Evaluation) -> dict[str, Any]:
    """Return what Optuna shows beside the value of a trial, by name."""
    told: dict[str, Any] = {
        "number": number,
        "genotype": evaluation.genotype,
        "status": evaluation.status,
        "params": evaluation.params,
        "macs": evaluation.macs,
        **{f"score {name}": value for name, value in evaluation.scores.items()},
        **{f"cost {name}": value for name, value in evaluation.costs.items()},
        "seconds": evaluation.seconds,
        "reason": evaluation.reason or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _parameters(space: SearchSpace[Any], evaluation: Evaluation) -> dict[str, Any]:
    try:
        return dict(space.parameters(space.parse(evaluation.genotype)))
    except InputError:  # an earlier version wrote it: its text is an attribute all the same
        return {}
