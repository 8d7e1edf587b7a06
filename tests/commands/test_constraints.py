"""The group constraints: which network is meant, what is refused, what a run records of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from nas_search.commands.constraints import (
    constraint_facts,
    read_constraints,
    resolve_constraints,
)
from nas_search.core.errors import InputError
from nas_search.costs import COSTS, At, CostRecord
from nas_search.spaces import SPACES
from nas_search.training.recipe import Recipe

SPACE = SPACES.get("darts").space()
SCORED = At((3, 8, 8), 10, {"cells": 8, "channels": 16, "auxiliary": False})
DARTS = Recipe("darts", 600, 96, network={"cells": 20, "channels": 36, "auxiliary": True})


def resolved(values: dict[str, Any], recipe: Recipe | None = DARTS) -> At:
    at = resolve_constraints(read_constraints(values), SPACE, SCORED, recipe).at
    assert at is not None
    return at


def test_costs_are_those_of_the_network_that_the_recipe_trains() -> None:
    published = {"cells": 20, "channels": 36, "auxiliary": False}
    assert resolved({}) == dataclasses.replace(SCORED, macro=published)
    assert resolved({}, dataclasses.replace(DARTS, network=None)) == SCORED
    assert resolved({}, None) == SCORED


def test_or_of_the_one_that_is_scored_or_of_sizes_of_choice() -> None:
    assert resolved({"at": "scored"}) == SCORED
    at = resolved({"at": {"cells": 14, "input_size": 32, "dtype": "int8"}})
    sizes = {"cells": 14, "channels": 36, "auxiliary": False}
    assert at == At((3, 32, 32), 10, sizes, "int8")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_parms": 1}, "unknown key 'constraints.max_parms' .did you mean 'max_params'"),
        ({"max_params": "few"}, "constraints.max_params: Value 'few' must be a number"),
        ({"max_params": -1}, "constraints.max_params=-1 must be a number of 0 or more"),
        ({"max_params": float("nan")}, "must be a number of 0 or more"),
        ({"max_macs": 5, "min_macs": 6}, "min_macs=6 is more than constraints.max_macs=5"),
        ({"costs": ["size"]}, "unknown cost 'size'"),
        ({"costs": {"flash": 1}}, "constraints.costs must be a list"),
        ({"at": 20}, "constraints.at=20 must be sizes"),
    ],
)
def test_what_is_impossible_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_constraints(values)


def test_a_single_cost_needs_no_brackets() -> None:
    assert read_constraints({"costs": "flash"}) == read_constraints({"costs": ["flash"]})


def test_a_cost_of_a_plugin_can_be_bounded() -> None:
    with COSTS.temporarily(CostRecord("energy", "mJ", lambda *_: 2.0, "energy", suffix="_mj")):
        config = read_constraints({"max_energy_mj": 1})
        constraints = resolve_constraints(config, SPACE, SCORED, None)
        violation = constraints.violation({"energy": 2.0})
        assert violation == "2 mJ, more than constraints.max_energy_mj=1"


def test_a_run_without_bounds_is_recorded_as_before_there_were_costs() -> None:
    plain = resolve_constraints(read_constraints({"max_params": None}), SPACE, SCORED, None)
    assert constraint_facts(plain, SCORED) == {"max_params": None, "max_macs": None}
    bounded = resolve_constraints(read_constraints({"max_params": 5}), SPACE, SCORED, None)
    facts = constraint_facts(bounded, SCORED)
    assert facts["max_params"] == 5 and facts["at"]["cells"] == 8
