"""A user's own function as a search space: its choices, its mistakes, its way through a run."""

from __future__ import annotations

import csv
import itertools
import pickle
import sys
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from nas_search.commands.run_search import run_search
from nas_search.core.errors import InputError
from nas_search.costs import COSTS, At
from nas_search.features import graph_features
from nas_search.spaces.module import ModuleSpace, NoNetwork
from nas_search.spaces.named import NamedChoices
from nas_search.testing.spaces import SearchSpaceConformance
from tests.commands.test_search_schema import compose
from tests.scoring.problem import task
from tests.spaces.made_networks import CHOICES, chain
from tests.test_readme import blocks

HERE = "tests.spaces.made_networks"
SCHEMA = (
    "{depth:[1,2,3],width:{from:4,to:12,step:4},"
    "kernel:{values:[1,3],if:'depth >= 2'},block:[plain,norm]}"
)
SHAPE = (3, 9, 12)


def made(function: str = "chain", choices: Any = None) -> ModuleSpace:
    return ModuleSpace(f"{HERE}:{function}", CHOICES if choices is None else choices)


class TestModule(SearchSpaceConformance):
    space = made()
    fixed_shapes = False

    def genes(self, genotype: Any) -> Sequence[Hashable]:
        choices: tuple[str, ...] = genotype.choices
        return choices

    def test_size_is_the_number_of_combinations(self) -> None:
        rng = np.random.default_rng(0)
        assert len({self.space.sample(rng) for _ in range(600)}) == self.space.size == 36

    def test_mutation_moves_what_counts_and_nothing_else(self) -> None:
        texts = [
            str(one) for one in self.space.neighbors(self.space.parse("depth=1,width=4,block=norm"))
        ]
        assert Counter(texts) == Counter(
            f"depth={d},width={w},kernel=1,block={b}"
            for d, w, b in [
                (2, 4, "norm"),
                (3, 4, "norm"),
                (1, 8, "norm"),
                (1, 12, "norm"),
                (1, 4, "plain"),
            ]
        )

    def test_networks_of_one_canonical_form_are_the_same(self) -> None:
        forms: dict[str, set[str]] = {}
        for row in itertools.product(*self.space.positions):
            genotype = NamedChoices(row, self.space.labels)
            network = self.space.build(genotype, SHAPE, 4)
            forms.setdefault(self.space.canonical(genotype), set()).add(str(network))
        assert all(len(networks) == 1 for networks in forms.values())
        # One layer, whatever the kernel of those that are not there: 6; two or three: 12 each.
        assert len(forms) == 30

    def test_features_have_the_names_of_the_choices_and_follow_the_network(self) -> None:
        texts = ["depth=1,width=8,kernel=1,block=norm", "depth=1,width=8,kernel=3,block=norm"]
        features = graph_features(self.space, [*texts, "depth=2,width=8,kernel=3,block=plain"])
        rows = [dict(zip(features.names, row, strict=True)) for row in features.values.tolist()]
        assert rows[0] == rows[1]
        assert rows[2] == {
            **{"count[plain]": 1, "count[norm]": 0, "depth": 2, "width": 8, "kernel": 3},
            **{"block[plain]": 1, "block[norm]": 0},
        }


def test_the_page_shows_a_function_and_choices_that_work(monkeypatch: Any, tmp_path: Path) -> None:
    ((source, _), (written,)) = (
        blocks("docs/your_network.md", lang) for lang in ("python", "yaml")
    )
    (tmp_path / "my_models.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])  # as a console script
    monkeypatch.delitem(sys.modules, "my_models", raising=False)
    options = yaml.safe_load(written)
    space = ModuleSpace(options["function"], options["choices"])
    assert space.cost(space.parse("depth=3,width=32,kernel=5"), (3, 8, 8), 10).params == (
        (27 * 32 + 32 + 64) + 2 * (9 * 32 * 32 + 32 + 64) + 330
    )


def test_a_genotype_is_written_in_any_order_without_what_does_not_count() -> None:
    space = made()
    first = space.parse("depth=2,width=8,kernel=3,block=norm")
    assert space.parse(" block=norm, kernel=3,width = 8,depth=2 ") == first
    assert str(space.parse("width=4,depth=1,block=plain")) == "depth=1,width=4,kernel=1,block=plain"
    assert space.values(first) == {"depth": 2, "width": 8, "kernel": 3, "block": "norm"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "depth=2,widht=8",
            "unknown choice 'widht' (did you mean 'width'?); possible: depth, width",
        ),
        ("depth=2,width=9", "module, width: unknown '9'; possible: 4, 8, 12"),
        ("depth=2,width=8,block=norm", "module: kernel missing in"),
        ("depth=2,depth=3", "choice 'depth' is given twice"),
        (
            "depth",
            "expected name=value joined by commas, got 'depth'; write it like 'depth=1,width=4",
        ),
    ],
)
def test_a_wrong_text_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        made().parse(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({}, "search_space.choices is missing"),
        ({"a b": [1, 2]}, "'a b' is no name"),
        ({"a": [3]}, "search_space.choices.a: a choice has two values or more"),
        ({"a": {"from": 3, "to": 3}}, "a choice has two values or more"),
        ({"a": 3}, "expected a list of values, e.g. [2,3,4], got 3"),
        ({"a": [1, 1]}, "1 is given twice"),
        ({"a": [1, [2]]}, "[2] is no value"),
        ({"a": ["x", "y z"]}, "'y z' is no value"),
        ({"a": {"value": [1, 2]}}, "unknown key 'value' (did you mean 'values'?)"),
        ({"a": {"values": [1, 2], "to": 3}}, "give values: [...], or from: and to:"),
        ({"a": {"from": 1, "to": 2, "step": 0.5}}, "from, to and step must be integers"),
        ({"a": {"from": 1, "to": 6, "step": 2}}, "from 1 to 6 is no number of steps of 2"),
        ({"a": {"from": 0, "to": 10**6}}, "values are too many"),
        ({"a": [1, 2], "b": {"values": [1, 2], "if": "a"}}, "cannot read the condition 'a'"),
        ({"b": {"values": [1, 2], "if": "a > 1"}, "a": [1, 2]}, "which is no choice above"),
        ({"a": ["x", "y"], "b": {"values": [1, 2], "if": "a == z"}}, "is no value of a: x, y"),
        ({"a": ["x", "y"], "b": {"values": [1, 2], "if": "a > 1"}}, "use == or !="),
    ],
)
def test_choices_that_are_none_are_refused(choices: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        made(choices=choices)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("", "search_space.function is missing: name a function of yours as MODULE:NAME"),
        ("chain", "search_space.function 'chain' is none"),
        ("no_such_module_x:chain", "cannot import 'no_such_module_x' (ModuleNotFoundError"),
        (f"{HERE}:no", f"{HERE} has no such name"),
        (f"{HERE}:NOT_A_FUNCTION", f"{HERE} has a int there"),
    ],
)
def test_a_function_that_is_none_is_refused(function: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        ModuleSpace(function, CHOICES)
    assert said in str(caught.value)


WRONG = [
    ("raises", "raises ValueError: no such width"),
    ("returns_none", "returns a NoneType, not an nn.Module"),
    ("too_many_logits", "maps 2 images to (2, 5); logits are (2, 4), one per class"),
    ("wrong_channels", "fails on images of 3x9x12: RuntimeError: "),
]


@pytest.mark.parametrize(("function", "said"), WRONG)
def test_a_function_that_never_makes_a_network_is_refused_in_one_line(
    function: str, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        made(function).check(SHAPE, 4)
    assert f"{HERE}:{function} of depth=" in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_space_comes_back_from_another_process_whole() -> None:
    again = pickle.loads(pickle.dumps(made()))
    text = "depth=2,width=8,kernel=3,block=norm"
    assert str(again.build(again.parse(text), SHAPE, 4)) == str(
        chain({"depth": 2, "width": 8, "kernel": 3, "block": "norm"}, SHAPE, 4)
    )


@pytest.mark.parametrize("cost", ["params", "macs", "activations", "flash", "peak_memory"])
def test_costs_of_what_is_no_network_are_none(cost: str) -> None:
    space, at, record = made("picky"), At(SHAPE, 4), COSTS.get(cost)
    nothing = record.cost(space, space.parse("depth=3,width=8,kernel=1,block=norm"), at)
    something = record.cost(space, space.parse("depth=1,width=8,block=norm"), at)
    assert nothing < something
    with pytest.raises(NoNetwork, match="raises KeyError: 'three layers"):
        space.build(space.parse("depth=3,width=8,kernel=1,block=norm"), SHAPE, 4)


CONFIGURED = {
    "module": (f"search_space.function={HERE}:chain", f"search_space.choices={SCHEMA}"),
    "mobilenet": (
        *("search_space.strides=[1,2]", "search_space.widths=[[8,16],[8,16]]"),
        *("search_space.depths=[1,2]", "search_space.stem=8", "search_space.head=8"),
    ),
}


def search(folder: Path, *overrides: str, space: str = "module") -> list[dict[str, str]]:
    """Search in this process; return the rows of its history."""
    config = compose(
        *(f"search_space={space}", *CONFIGURED[space], "dataset.size=8", "proxy.batch_size=10"),
        *("budget.evaluations=8", "budget.minutes=null", "executor=inline", "device=cpu"),
        *overrides,
    )
    folder.mkdir(exist_ok=True)
    with Path("/dev/null").open("w") as nowhere:
        run_search(config, folder, Console(file=nowhere))
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


SMALL = ("algorithm.population=4", "algorithm.tournament=2")
ALGORITHMS = {
    "random": (),
    "regularized_evolution": SMALL,
    "local_search": (),
    "nsga2": ("objectives=[gradalign,params]", "algorithm.population=4"),
    "guided": (
        *(*SMALL, "algorithm.scored=4", "algorithm.trained=2", "budget.trainings=2"),
        *("algorithm.recipe.epochs=1", "algorithm.recipe.min_steps=0"),
        "algorithm.prior=none",
    ),
}


@pytest.mark.parametrize("space", CONFIGURED)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_searches_it(algorithm: str, space: str, tmp_path: Path) -> None:
    rows = search(tmp_path, f"algorithm={algorithm}", *ALGORITHMS[algorithm], space=space)
    assert len(rows) >= 8
    assert {row["status"] for row in rows} == {"ok"}
    assert any(row.get("trained_accuracy") for row in rows) == (algorithm == "guided")


@pytest.mark.parametrize(
    ("depth", "reason"),
    [
        (1, ""),
        (2, "maps 2 images to (2, 4); logits are (2, 3), one per class"),
        (3, "raises KeyError: 'three layers"),
    ],
)
def test_choices_without_a_network_are_failures_with_reasons(depth: int, reason: str) -> None:
    space = made("picky")
    made_task = task(space, proxies=("gradalign", "params"))
    made_task.check_sizes(space.parse("depth=3,width=8,kernel=1,block=norm"))  # others are networks
    evaluation = made_task.evaluate(space.parse(f"depth={depth},width=8,kernel=1,block=norm"))
    assert evaluation.status == ("failed" if reason else "ok")
    assert reason in evaluation.reason


def test_a_run_of_other_choices_is_another_run(tmp_path: Path) -> None:
    search(tmp_path, "algorithm=random")
    with pytest.raises(InputError, match="holds another run"):
        search(tmp_path, "algorithm=random", "search_space.choices.width.to=16")


def test_bounds_hold(tmp_path: Path) -> None:
    rows = search(
        tmp_path, "algorithm=random", "budget.evaluations=6", "constraints.max_params=300"
    )
    assert {row["status"] for row in rows} == {"ok"}
    assert max(int(row["params"]) for row in rows) <= 300


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_workers_import_the_function(executor: str, tmp_path: Path) -> None:
    alone = search(tmp_path / "alone", "algorithm=random", "budget.evaluations=4")
    there = search(
        *(tmp_path / executor, "algorithm=random", "budget.evaluations=4"),
        *(f"executor={executor}", "executor.workers=1"),
    )
    assert [row["gradalign"] for row in there] == [row["gradalign"] for row in alone]
