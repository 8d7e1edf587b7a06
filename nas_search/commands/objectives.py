"""``objectives=[gradalign,macs]``: what a search is after, where it is more than one score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from nas_search.commands.command import CONF
from nas_search.commands.messages import ranks_only
from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.core.objectives import Objective, Objectives, parse_objective
from nas_search.costs import COSTS
from nas_search.priors import FITTED
from nas_search.proxies import PROXIES
from nas_search.scoring.table_lookup import ORACLE


def read_objectives(names: Sequence[str], proxy: str) -> Objectives:
    """Return the objectives that ``names`` stand for; where there are none, the score ``proxy``.

    A score is maximized and a cost minimized; ``min:NAME`` and ``max:NAME`` say otherwise.

    Raises:
        InputError: there is no such score or cost, one is given twice or does not say which way is
            better, or there is no score among them.
    """
    if not names:
        return (Objective(proxy),)
    objectives = tuple(_objective(name) for name in names)
    different = {objective.name for objective in objectives}
    if len(different) < len(objectives):
        raise InputError(f"objectives=[{','.join(names)}] names one twice")
    if not scores_of(objectives):
        raise InputError(
            f"objectives=[{','.join(names)}] are all costs, which the smallest network has least "
            "of: name a score too, e.g. gradalign"
        )
    return objectives


def scores_of(objectives: Objectives) -> tuple[str, ...]:
    """Return the names of those that are scores, in order."""
    return tuple(one.name for one in objectives if one.name not in COSTS.names())


def costs_of(objectives: Objectives) -> tuple[str, ...]:
    """Return the names of those that are costs, in order."""
    return tuple(one.name for one in objectives if one.name in COSTS.names())


def main_score(proxy: str, objectives: Objectives) -> str:
    """Return the score that stands for the search where only one can: ``proxy`` if it is one.

    Raises:
        InputError: ``proxy`` was chosen, and is not one of the objectives.
    """
    scores = scores_of(objectives) or (proxy,)
    if proxy in scores or proxy == default_proxy():
        return proxy if proxy in scores else scores[0]
    raise InputError(
        f"proxy={proxy} is not among the objectives ({', '.join(map(str, objectives))}); add it "
        "there or leave it out"
    )


def default_proxy() -> str:
    """Return the score of the bare command."""
    text = (Path(CONF) / "config.yaml").read_text(encoding="utf-8")
    return next(str(one["proxy"]) for one in yaml.safe_load(text)["defaults"] if "proxy" in one)


def _objective(text: str) -> Objective:
    objective = parse_objective(text)
    name = objective.name
    refusal = ranks_only(name)
    if refusal:
        raise InputError(refusal)
    if name in COSTS.names():
        return objective if ":" in text else Objective(name, minimize=True)
    if name == ORACLE or name in FITTED:
        return objective
    if name not in PROXIES.names():
        possible = [*COSTS.names(), *PROXIES.names(), *FITTED]
        raise InputError(
            f"unknown objective '{text}'{did_you_mean(name, possible)}; possible: "
            f"{', '.join(COSTS.names())} (costs), {', '.join((*PROXIES.names(), *FITTED))}"
        )
    if ":" not in text and PROXIES.get(name).source == "count":
        also = " (or macs, the cost)" if name == "flops" else ""
        raise InputError(
            f"objectives: {name} is a size, which some want large and some small: write min:{name}"
            f"{also} or max:{name}"
        )
    return objective
