"""The page of a search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nas_search.core.errors import InputError
from nas_search.core.evaluation import STATUSES, Evaluation
from nas_search.pages import commands
from nas_search.pages.cell_svg import cell_svg
from nas_search.pages.chart import Chart, Grid, Mark
from nas_search.pages.evolution import objective_charts, score_chart, scored
from nas_search.pages.family import family_of
from nas_search.pages.found import Ranked, certainty, found, ranked_of
from nas_search.pages.kept import kept
from nas_search.pages.page import number, picture, render
from nas_search.pages.prior_section import prior_section
from nas_search.pages.section import Section
from nas_search.pages.trained import trained_in
from nas_search.report.files import cost_column
from nas_search.report.table import human
from nas_search.runs.run import Run
from nas_search.spaces import SPACES, SearchSpace

BEST = 10
"""Architectures that are drawn."""

SHEETS = ("contact_sheet.png", "samples.png")
"""Pictures of the data that a run's folder may hold."""

Sections = Callable[[Run, SearchSpace[Any], Ranked], Section | None]

SECTIONS: list[Sections] = [prior_section]
"""Further sections, each a function that returns one, or None where the run has nothing for it."""


def run_page(run: Run, live: Mapping[str, Any] | None = None) -> str:
    """Return the page of a run, which may be running.

    Args:
        run: its content.
        live: of a page that is served: ``state``, ``seconds``.

    Raises:
        InputError: its search space belongs to a plugin that is not imported.
    """
    space = space_of(run)
    ranked, everyone = ranked_of(run), scored(run)
    score_charts = [score_chart(run, everyone)] if everyone else []
    cost_charts = objective_charts(run, everyone)
    operation_charts, edges = kept(run, space, everyone)
    extra = [one for make in SECTIONS if (one := make(run, space, ranked)) is not None]
    trained = trained_in(run.directory / "finalists")
    time_charts = [one for one in [_time_chart(run)] if len(one.rows) > 1]
    candidates = _candidates(run)
    family = None
    if ranked:
        parents = run.config.get("parents") or []
        family = family_of(parents, run.evaluations, ranked[0][0], space, run.score)
    charts = [*score_charts, *cost_charts, *operation_charts, *time_charts]
    charts += [chart for section in extra for chart in section.charts]
    grids = [candidates, *(grid for section in extra for grid in section.grids)]
    if trained:
        charts, grids = [*charts, *trained.charts], [*grids, trained.grid]
    context: dict[str, Any] = {
        "found": found(run, ranked),
        "certainty": list(certainty(run, ranked)) if ranked else [],
        "tiles": _tiles(run),
        "asked": _asked(run),
        "best": [_best(run, space, n, e) for n, e in ranked[:BEST]],
        "score_charts": score_charts,
        "cost_charts": cost_charts,
        "cost_text": _cost_text(run),
        "operation_charts": operation_charts,
        "edges": edges,
        "extra": extra,
        "family": family,
        "trained": trained,
        "candidates": candidates,
        "failures": _failures(run.evaluations),
        "times": _times(run),
        "time_charts": time_charts,
        "sheet": _sheet(run),
        "commands": commands.of_run(run),
        "environment": _environment(run),
    }
    context["contents"] = _contents(context)
    title = f"Search in {run.directory.name}"
    return render("run.html", title, charts, grids, live, **context)


def space_of(run: Run) -> SearchSpace[Any]:
    """Return the search space of a run.

    Raises:
        InputError: it is not registered, or is not made with such options.
    """
    plugins = run.config.get("plugins") or []
    try:
        if run.best is not None:
            return run.best.space
        record = SPACES.get(run.config["search_space"]["name"])
    except InputError as error:
        advice = f"; if you trust its folder: --plugin {' --plugin '.join(plugins)}"
        raise InputError(f"{error}{advice * bool(plugins)}") from None
    options = getattr(record.options, "__dataclass_fields__", {})
    given = {key: value for key, value in run.config["search_space"].items() if key in options}
    lists = {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}
    return record.space(**lists)


def _tiles(run: Run) -> list[tuple[str, Any]]:
    counts: Counter[str] = Counter(e.status for e in run.evaluations)
    tiles: list[tuple[str, Any]] = [("candidates", len(run.evaluations))]
    tiles += [(status, counts[status]) for status in STATUSES if counts[status]]
    if run.summary:
        tiles.append(("search", _seconds(run.summary.get("search_seconds"))))
        tiles.append(("ended by", run.summary.get("stop")))
    else:
        tiles.append(("state", "no end yet"))
    tiles.append(("seed", run.config.get("seed")))
    return tiles


def _asked(run: Run) -> list[tuple[str, Any]]:
    config = run.config
    constraints = config.get("constraints") or {}
    bounds = {k: v for k, v in constraints.items() if v is not None and k not in ("at", "costs")}
    return [
        ("search space", _group(config["search_space"])),
        ("score", _group(config["proxy"])),
        ("objectives", ", ".join(map(str, run.objectives))),
        ("algorithm", _group(config["algorithm"])),
        ("data", f"{_group(config['dataset'])}, {config.get('num_classes')} classes"),
        ("bounds", ", ".join(f"{key}={value}" for key, value in bounds.items()) or "none"),
        ("folder", str(run.directory)),
    ]


def _group(values: Mapping[str, Any]) -> str:
    """Return a group of the configuration in a line: its name, and what else is set."""
    others = [f"{key}={_short(v)}" for key, v in values.items() if key != "name" and v is not None]
    return str(values.get("name")) + (f" ({', '.join(others)})" if others else "")


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return str(value)


def _best(run: Run, space: SearchSpace[Any], place: int, evaluation: Evaluation) -> dict[str, Any]:
    graphs = space.graphs(space.parse(evaluation.genotype))
    costs = [f"{human(evaluation.params)} parameters", f"{human(evaluation.macs)} MACs"]
    costs += [f"{cost_column(name)} {number(value)}" for name, value in evaluation.costs.items()]
    values = [f"{name} {number(value, 5)}" for name, value in evaluation.scores.items()]
    return {
        "says": f"candidate {place}: {', '.join(values + costs)}",
        "genotype": evaluation.genotype,
        "cells": [(graph.name, cell_svg(graph, f"{graph.name} cell")) for graph in graphs],
    }


def _candidates(run: Run) -> Grid:
    names = list(dict.fromkeys(name for e in run.evaluations for name in e.scores))
    costs = list(run.evaluations[0].costs) if run.evaluations else []
    columns = ["number", "status", *names, "params", "macs", *map(cost_column, costs)]
    columns += ["seconds", "genotype", "reason"]
    rows = []
    for n, e in enumerate(run.evaluations, 1):
        row: dict[str, Any] = {"number": n, "status": e.status, "params": e.params, "macs": e.macs}
        row |= {"seconds": round(e.seconds, 4), "genotype": e.genotype, "reason": e.reason}
        row |= {cost_column(name): value for name, value in e.costs.items()} | e.scores
        rows.append([row.get(name) for name in columns])
    if not any(e.reason for e in run.evaluations):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Grid("candidates", "all candidates", columns, rows, "number", ("genotype", "reason"))


def _cost_text(run: Run) -> str:
    if run.evaluations and run.evaluations[0].costs:
        at = (run.config.get("constraints") or {}).get("at")
        sizes = " at " + ", ".join(f"{k}={_short(v)}" for k, v in at.items()) if at else ""
        return f"Costs are those of the network{sizes}; those as scored are of the small network."
    return (
        "Parameters and multiply-accumulates (MACs) are those of the small network that was scored."
    )


def _failures(evaluations: Sequence[Evaluation]) -> list[tuple[str, int, str, int]]:
    """Return (status, how many, reason, number of the first), the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], int] = {}
    for n, e in enumerate(evaluations, 1):
        if e.status != "ok":
            counts[e.status, e.reason] += 1
            first.setdefault((e.status, e.reason), n)
    return [
        (status, count, reason, first[status, reason])
        for (status, reason), count in counts.most_common(30)
    ]


def _times(run: Run) -> list[tuple[str, Any]]:
    scoring = [e.seconds for e in run.evaluations]
    times: list[tuple[str, Any]] = []
    if run.summary:
        times.append(("search by the clock", _seconds(run.summary.get("search_seconds"))))
    times.append(("scoring, summed over workers", _seconds(sum(scoring))))
    if scoring:
        middle = sorted(scoring)[len(scoring) // 2]
        times.append(("a candidate, median", _seconds(middle)))
    training = sum(float(row.get("seconds") or 0) for row in run.finalists)
    if training:
        times.append(("training of finalists", _seconds(training)))
    return times


def _time_chart(run: Run) -> Chart:
    spent: dict[str, float] = {}
    for e in run.evaluations:
        name = f"scoring: {e.status}"
        spent[name] = spent.get(name, 0.0) + e.seconds
    for row in run.finalists:
        spent[f"training {row['key']}"] = float(row.get("seconds") or 0)
    rows = [[name, round(value, 2)] for name, value in spent.items()]
    return Chart(
        "time",
        "Seconds by what was done",
        "Scoring is summed over all workers, so it can be more than the search by the clock.",
        ("what", "seconds"),
        rows,
        (Mark("bars", "what", "seconds", "seconds"),),
        "",
        "seconds",
        categories=True,
    )


def _seconds(value: Any) -> str:
    if not isinstance(value, int | float):
        return "-"
    if value < 120:
        return f"{value:.3g} s"
    return f"{value / 60:.3g} min" if value < 7200 else f"{value / 3600:.3g} h"


def _sheet(run: Run) -> str:
    file = next((run.directory / name for name in SHEETS if (run.directory / name).exists()), None)
    return picture(file) if file else ""


def _environment(run: Run) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [("seed", run.config.get("seed"))]
    facts += [(f"version of {k}", v) for k, v in (run.config.get("versions") or {}).items()]
    if run.summary:
        facts.append(("device", run.summary.get("device")))
    facts += [
        ("plugins", ", ".join(run.config.get("plugins") or []) or "none"),
        ("precision", run.config.get("precision", "fp32")),
        ("fingerprint of the data", run.config.get("data")),
        ("fingerprint of the probe batches", run.config.get("probe_batch")),
    ]
    return facts


def _contents(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    places = [
        ("asked", "asked", True),
        ("best", "best", context["best"]),
        ("search", "search", context["score_charts"]),
        ("costs", "costs", context["cost_charts"]),
        ("evolution", "evolution", context["operation_charts"]),
        *((one.key, one.title.lower(), True) for one in context["extra"]),
        ("family", "family", context["family"]),
        ("trained", "training", context["trained"]),
        ("candidates", "all candidates", True),
        ("failures", "failures", True),
        ("time", "time", True),
        ("data-set", "data", context["sheet"]),
        ("next", "to go on", True),
        ("environment", "environment", True),
    ]
    return [(key, name) for key, name, there in places if there]
