"""Every configuration composes and is read; every mistake in one is said in one line."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_search.commands.command import CONF
from nas_search.commands.explanations import of_group
from nas_search.commands.filling import CHILDREN, filling_remark
from nas_search.commands.help import BASE
from nas_search.commands.reading import RENAMED
from nas_search.commands.search_schema import SearchConfig, read_config
from nas_search.commands.search_values import GROUPS, Learning
from nas_search.commands.settings import Settings
from nas_search.core.errors import InputError
from nas_search.costs import COSTS
from nas_search.data import DATASETS
from nas_search.priors import FITTED
from nas_search.priors.shipped import shipped_names
from nas_search.proxies import PROXIES
from nas_search.ranking.aggregates import AGGREGATES
from nas_search.scoring.executor import KINDS
from nas_search.search import ALGORITHMS
from nas_search.spaces import SPACES
from nas_search.tables import BENCHMARKS
from nas_search.tables.table import NONE

CHOICES = {
    group: sorted({path.stem for path in (Path(CONF) / group).glob("*.yaml")} - {BASE})
    for group in (*GROUPS, "experiment")
    if (Path(CONF) / group).is_dir()
}


OF_A_PRIOR = ("prior", "gradalign_prior")


def compose(*overrides: str) -> SearchConfig:
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        return read_config(hydra.compose("config", overrides=list(overrides)))


def check(choice: dict[str, str]) -> None:
    """Compose this choice of groups, read it and see that it was chosen."""
    overrides = [f"{group}={name}" for group, name in choice.items()]
    if choice.get("search_space") == "module":  # which has no function of its own
        overrides.append("search_space.function=tests.spaces.made_networks:chain")
        overrides.append("search_space.choices={depth:[1,2]}")
    if choice.get("algorithm") == "nsga2":
        score = choice.get("proxy", "gradalign")
        if score in COSTS.names():  # which is no score among objectives
            return
        overrides.append(f"objectives=[max:{score},macs]")
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        composed = hydra.compose("config", overrides=overrides)
    space = choice.get("search_space", "darts")
    if choice.get("proxy") in OF_A_PRIOR and space not in shipped_names():
        with pytest.raises(InputError, match=f"has no prior of search_space={space},"):
            read_config(composed)
        return
    config = read_config(composed)
    names = {
        "search_space": config.space.name,
        "proxy": config.proxy.name,
        "algorithm": config.algorithm.name,
        "dataset": config.dataset.name,
        "executor": config.executor.name,
    }
    for group, name in choice.items():
        assert names.get(group, name) == name


BUDGET = yaml.safe_load((Path(CONF) / "budget" / "standard.yaml").read_text())

ALONE = {  # what a search can choose without a table at hand
    group: [name for name in names if (group != "benchmark" and name != "oracle") or name == NONE]
    for group, names in CHOICES.items()
}


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (group, name)
        for group, names in ALONE.items()
        for name in names
        if group != "proxy" or name in FITTED  # others: test_the_definition_of_a_score_...
    ],
)
def test_every_choice_is_read(group: str, name: str) -> None:
    check({group: name})


Choice = dict[str, str]
TOGETHER = [group for group in ALONE if group != "experiment"]
"""An experiment sets keys of other groups' choices: it has a test of its own."""


def pairs_of(choice: Choice) -> set[frozenset[tuple[str, str]]]:
    return set(map(frozenset, itertools.combinations(choice.items(), 2)))


def is_refused(choice: Choice) -> bool:
    """Whether ``choice`` holds a pair that is none: a cost as an objective's score, or a prior of
    a space that has none. What else such a choice holds is not read."""
    cost_twice = choice.get("algorithm") == "nsga2" and choice.get("proxy") in COSTS.names()
    without = choice.get("search_space") not in (None, *shipped_names())
    return cost_twice or (without and choice.get("proxy") in OF_A_PRIOR)


@functools.cache
def covering() -> list[Choice]:
    """Return choices of all groups at once that hold every pair of choices of two groups.

    A pair that is refused stands alone. Greedy: each row begins with a pair that is missing, of
    the longest lists first, and takes of each other group what adds most of the missing ones.
    """
    by_length = sorted(TOGETHER, key=lambda group: -len(ALONE[group]))
    missing = {
        pair: None  # in order
        for first, second in itertools.combinations(by_length, 2)
        for names in itertools.product(ALONE[first], ALONE[second])
        for pair in pairs_of({first: names[0], second: names[1]})
    }
    rows = []
    while missing:
        row = dict(sorted(next(iter(missing))))
        for group in by_length:
            if group in row or is_refused(row):
                continue
            longer = [row | {group: name} for name in ALONE[group]]
            row = max(
                (one for one in longer if not is_refused(one)),
                key=lambda one: len(pairs_of(one) & missing.keys()),
            )
        for pair in pairs_of(row):
            missing.pop(pair, None)
        rows.append(row)
    return rows


def test_the_choices_that_are_read_together_hold_every_pair() -> None:
    whole = [row for row in covering() if len(row) == len(TOGETHER)]
    assert all(is_refused(row) and len(row) == 2 for row in covering() if row not in whole)
    held = set().union(*map(pairs_of, whole))
    for first, second in itertools.combinations(TOGETHER, 2):
        for names in itertools.product(ALONE[first], ALONE[second]):
            pair = {first: names[0], second: names[1]}
            assert (pairs_of(pair) <= held) != is_refused(pair), pair


@pytest.mark.slow
@pytest.mark.parametrize("space", ALONE["search_space"])
def test_every_pair_of_choices_is_read(space: str) -> None:
    # All combinations are millions: a third group never mattered.
    for choice in covering():
        if choice.get("search_space", ALONE["search_space"][0]) == space:
            check(choice)


@pytest.mark.parametrize("name", AGGREGATES.names())
def test_an_aggregate_cannot_be_named_as_the_fitness(name: str) -> None:
    how = "aggregates={mine: [NAME, NAME]}" if name == "aggregate" else f"proxies=[{name}]"
    with pytest.raises(InputError, match=re.escape(f"python -m nas_search.rank '{how}'")):
        compose(f"proxy.name={name}")


def test_an_experiment_changes_what_it_names_and_nothing_else() -> None:
    plain, hundred = compose(), compose("experiment=hundred_evaluations")
    assert hundred.algorithm_options.population == 10
    assert (hundred.budget.evaluations, hundred.budget.minutes) == (100, None)
    assert (hundred.proxy, hundred.seed, hundred.macro) == (plain.proxy, plain.seed, plain.macro)
    gpu = compose("experiment=gpu")
    assert gpu.batch == CHILDREN > plain.batch
    assert gpu.budget == plain.budget and gpu.algorithm_options == plain.algorithm_options
    cifar = compose("experiment=cifar10", "finalists.k=7", "seed=3")
    assert cifar.recipe is not None
    assert (cifar.dataset.name, cifar.recipe.name, cifar.seed) == ("cifar10", "darts", 3)
    assert (cifar.finalists.k, cifar.finalists.halving) == (7, 3)


def test_a_gpu_that_waits_is_said_where_more_at_a_time_costs_nothing() -> None:
    assert "experiment=gpu" in filling_remark("cuda", 8, True, 1000)
    assert "experiment=gpu" in filling_remark("cuda:1", 1, True, None)
    for given in (("cpu", 8, True, 1000), ("cuda", 8, True, 200), ("cuda", CHILDREN, True, 1000)):
        assert filling_remark(*given) == ""
    assert filling_remark("cuda", 1, False, 1000) == ""  # random search asks for many anyway


OVERRIDES = {"batch_size": 48, "repeats": 2, "init": "kaiming_normal", "normalization": "eval"}


@pytest.mark.parametrize("name", CHOICES["proxy"])
def test_the_definition_of_a_score_stands_in_its_record_alone(name: str) -> None:
    lines = (Path(CONF) / "proxy" / f"{name}.yaml").read_text().splitlines()
    comment, *keys = lines
    assert keys[:2] == ["defaults: [base]", f"name: {name}"]
    if name == "oracle" or name in FITTED:
        return
    assert len(keys) == 2
    record = PROXIES.get(name)
    assert comment == f"# {record.summary[0].upper()}{record.summary[1:]}."
    proxy = compose(f"proxy={name}").proxy
    chosen = proxy.settings
    assert proxy.name == name
    assert chosen.parameters == "weights" and chosen.classes is None
    assert {key: getattr(chosen, key) for key in OVERRIDES} == {
        key: getattr(record, key) for key in OVERRIDES
    }


@pytest.mark.parametrize("name", ["gradalign", "meco", "synflow"])
def test_the_definition_of_a_score_can_be_changed(name: str) -> None:
    other = compose(f"proxy={name}", *(f"proxy.{k}={v}" for k, v in OVERRIDES.items()))
    assert {key: getattr(other.proxy.settings, key) for key in OVERRIDES} == OVERRIDES


def test_the_base_of_the_scores_has_every_key_and_no_value_of_a_definition() -> None:
    values = yaml.safe_load((Path(CONF) / "proxy" / f"{BASE}.yaml").read_text())
    assert values.pop("name") == "???"
    assert values == dataclasses.asdict(Settings())
    with pytest.raises(InputError, match="proxy.name is missing; choose with proxy=NAME"):
        compose("proxy=base")


@pytest.mark.parametrize("key", ["proxy.normalisation", "executor.population"])
def test_an_old_key_is_refused_with_its_new_name(key: str) -> None:
    with pytest.raises(InputError, match=f"^{key} is now called {RENAMED[key]}; rename it$"):
        compose(f"+{key}=1")


def test_every_new_name_is_a_key_of_a_command() -> None:
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        commands = [hydra.compose(name) for name in ("config", "rank", "train")]
    for new in RENAMED.values():
        group, _, key = new.rpartition(".")
        groups = [command.get(group) if group else command for command in commands]
        assert any(key in keys for keys in groups if keys is not None), new


@pytest.mark.parametrize("name", BENCHMARKS.names())
def test_a_benchmark_and_an_oracle_want_their_table(name: str) -> None:
    space = f"search_space={name if name in SPACES.names() else 'darts'}"
    with pytest.raises(InputError, match=f"benchmark={name} needs a file"):
        compose(f"benchmark={name}", space)
    with pytest.raises(InputError, match=f"benchmark={name} needs a file"):
        compose(f"benchmark={name}", space, "proxy=oracle")


def test_an_oracle_wants_a_table() -> None:
    with pytest.raises(InputError, match="proxy=oracle looks accuracies up in a table: choose"):
        compose("proxy=oracle")


@pytest.mark.parametrize(
    ("group", "registered"),
    [
        ("search_space", SPACES.names()),
        ("proxy", sorted([*PROXIES.names(), *FITTED, "oracle"])),
        ("algorithm", ALGORITHMS.names()),
        ("dataset", DATASETS.names()),
        ("executor", sorted(KINDS)),
        ("benchmark", sorted([*BENCHMARKS.names(), NONE])),
    ],
)
def test_every_registered_name_has_its_file_and_every_file_its_name(
    group: str, registered: Sequence[str]
) -> None:
    assert CHOICES[group] == list(registered)
    for name in registered:
        text = (Path(CONF) / group / f"{name}.yaml").read_text()
        assert yaml.safe_load(text)["name"] == name
        assert text.startswith("# ")


def test_the_files_hold_every_key_and_the_defaults_of_the_code() -> None:
    groups = ((ALGORITHMS, "algorithm"), (DATASETS, "dataset"), (BENCHMARKS, "benchmark"))
    for record, group in groups:
        for entry in record:
            values = yaml.safe_load((Path(CONF) / group / f"{entry.name}.yaml").read_text())
            values = {k: v for k, v in values.items() if k not in ("name", "batch")}
            composed = OmegaConf.create({group: values, "budget": BUDGET})
            defaults: dict[str, Any] = {}
            if getattr(entry, "trains", False):  # its recipe is one of conf/recipe
                values.pop("defaults")
                learning = dataclasses.asdict(Learning())
                assert learning.pop("recipe") == {}
                defaults |= learning
                composed = OmegaConf.create({group: values, "budget": BUDGET})
            for item in dataclasses.fields(entry.options):
                default = item.default
                if item.default_factory is not dataclasses.MISSING:
                    default = item.default_factory()
                missing = default is dataclasses.MISSING
                defaults[item.name] = "???" if missing else default
            code = OmegaConf.to_container(OmegaConf.create(defaults))  # tuples as lists
            assert OmegaConf.to_container(composed[group], resolve=True) == code, entry.name


def test_the_default_is_the_command_of_the_title() -> None:
    config = compose()
    assert (config.space.name, config.proxy.name) == ("darts", "gradalign")
    assert (config.algorithm.name, config.dataset.name) == ("regularized_evolution", "digits")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "+seeed=1",
            "unknown key 'seeed' .did you mean 'seed'..; possible: bridges, device, objectives, ",
        ),
        (
            "precision=fp16",
            "unknown precision 'fp16' .did you mean 'bf16'..; possible: fp32, tf32",
        ),
        ("proxy.repeats=0", "proxy.repeats=0 must be 1 or more"),
        ("proxy.parameters=none", "unknown proxy.parameters 'none'; possible: weights, all"),
        ("proxy.normalization=none", "unknown proxy.normalization 'none'; possible: sample, "),
        (
            "+proxy.batchsize=3",
            "unknown key 'proxy.batchsize' .did you mean 'batch_size'..; possible: ",
        ),
        ("+algorithm.elite=3", "unknown key 'algorithm.elite'; possible: "),
        ("+search_space.depth=3", "unknown key 'search_space.depth'; possible: "),
        ("+budget.hours=3", "unknown key 'budget.hours'; possible: epochs, evaluations, minutes"),
        ("~seed", "seed is missing"),
        ("~proxy", "proxy"),
        ("~proxy.name", "proxy.name is missing"),
        ("seed=abc", "seed: Value 'abc'"),
        ("seed=null", "seed: "),
        ("seed=-1", "seed=-1 must be 0 or more"),
        ("top=0", "top=0 must be 1 or more"),
        ("plugins=[no.such.module]", "cannot import 'no.such.module'"),
        ("plugins=[tests.broken_plugin]", "cannot import 'tests.broken_plugin'"),
        ("search_space.name=dart", "unknown search_space 'dart' .did you mean 'darts'"),
        ("search_space.cells=2", "cells"),
        ("search_space.channels=wide", "search_space.channels: Value 'wide'"),
        ("search_space.operations=[sepconv]", "no operation 'sepconv'; possible: none, "),
        ("proxy.name=gradaling", "unknown proxy 'gradaling' .did you mean 'gradalign'"),
        ("proxy.batch_size=16.5", "proxy.batch_size: Value '16.5'"),
        ("proxy.batch_size=1", "proxy.batch_size=1 must be 2 or more"),
        ("proxy.init=zero", "unknown proxy.init 'zero'; possible: default, kaiming_normal"),
        ("algorithm.batch=0", "algorithm.batch=0 must be 1 or more"),
        ("algorithm.batch=two", "algorithm.batch: Value 'two'"),
        ("algorithm.batch=true", "algorithm.batch: Value 'True'"),
        ("algorithm.population=1", "algorithm.population=1 must be 2 or more"),
        ("algorithm.tournament=101", "algorithm.tournament=101 must be between 1 and"),
        ("algorithm.crossover=2", "algorithm.crossover=2.0 must be between 0 and 1"),
        ("budget.evaluations=0", "budget.evaluations=0 must be 1 or more"),
        ("budget.evaluations=9", "budget.evaluations=9 does not even fill the first population"),
        ("budget.evaluations=9", "e.g. algorithm.population=4 algorithm.tournament=3"),
        ("budget.evaluations=60", "e.g. algorithm.population=10 algorithm.tournament=3"),
        ("budget.evaluations=3", "take algorithm=random, which has none"),
        ("budget.minutes=-1", "budget.minutes=-1.0 must be more than 0"),
        ("budget.minutes=soon", "budget.minutes: Value 'soon'"),
        ("budget={evaluations:null,minutes:null}", "the budget is endless"),
        ("executor.name=threads", "unknown executor 'threads'; possible: auto, inline"),
        ("executor.workers=0", "executor.workers=0 must be 1 or more"),
        ("constraints.max_params=few", "constraints.max_params: Value 'few'"),
        ("seed=${nowhere}", "nowhere"),
    ],
)
def test_a_mistake_is_one_line(override: str, message: str) -> None:
    kinds = (InputError, OmegaConfBaseException) if "nowhere" in override else InputError
    with pytest.raises(kinds, match=message) as caught:
        compose(override)
    if isinstance(caught.value, InputError):
        assert "\n" not in str(caught.value)


def ask_command(*arguments: str) -> str:
    command = [sys.executable, "-m", "nas_search", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def explained(text: str) -> int:
    """Return how many keys a help text lists; each has an explanation below it."""
    values = text.partition("what they mean:\n")[2].partition("Examples:")[0].strip().splitlines()
    keys = 0
    for line, below in zip(values, [*values[1:], ""], strict=True):
        if "=" in line and not line.startswith(" "):
            keys += len(re.findall(r"(?:^|  )[\w.]+=", line))
            assert below.startswith("  "), line
    return keys


@pytest.mark.parametrize("module", ["nas_search.rank", "nas_search.train"])
def test_every_key_of_the_other_commands_is_explained(module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    choices = ["dataset=imagefolder", "search_space=darts"]
    done = subprocess.run([*command, *choices], capture_output=True, text=True)
    assert done.stderr == ""
    assert explained(done.stdout) > 20


@pytest.mark.parametrize("group", sorted(set(CHOICES) - {"experiment"}))
def test_every_key_of_every_choice_is_explained(group: str) -> None:
    base = Path(CONF) / group / f"{BASE}.yaml"
    for name in CHOICES[group]:
        file = Path(CONF) / group / f"{name}.yaml"
        said = of_group([file, *([base] if base.exists() else [])])
        keys = set(flat(yaml.safe_load(file.read_text()))) - {"name", "source", "defaults"}
        assert keys <= {key for key, text in said.items() if len(text) > 5}, file


def flat(values: dict[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and f"{prefix}{key}" != "network":
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_the_population_fits_the_budget_of_every_preset() -> None:
    for name in CHOICES["budget"]:
        config = compose(f"budget={name}")
        assert config.budget.evaluations is not None
        assert config.algorithm_options.population <= config.budget.evaluations / 5
        assert config.algorithm_options.tournament <= config.algorithm_options.population / 2
        compose(f"budget={name}", "algorithm=random")
    assert compose("budget=quick").algorithm_options.population == 20
    assert compose("budget=quick", "algorithm.population=50").algorithm_options.population == 50
    longer = compose("budget=quick", "budget.evaluations=1000")  # continues the shorter one
    assert longer.algorithm_options.population == 20


def test_help_tells_a_person_what_to_type() -> None:
    text = ask_command("--help")
    for group, names in CHOICES.items():
        line = next(line for line in text.splitlines() if line.startswith(f"{group}: "))
        assert line == f"{group}: {', '.join(names)}"
    for words in ("Usage: python -m nas_search", "hydra.run.dir=", "Examples:", "proxy=gradalign"):
        assert words in text
    assert "$" not in text  # no placeholder was left
    assert explained(text) > 60
    choices = tuple(f"{group}: " for group in CHOICES)  # Hydra lists a group's names in one line
    assert max(len(line) for line in text.splitlines() if not line.startswith(choices)) < 110


@pytest.mark.parametrize("module", ["nas_search", "nas_search.rank", "nas_search.train"])
def test_help_does_not_wait_for_torch(module: str) -> None:
    check = (
        "import importlib, sys\n"
        f"sys.argv = ['{module}', '--help']\n"
        "try:\n"
        f"    importlib.import_module('{module}' + '.__main__' * ('.' not in '{module}')).main()\n"
        "finally:\n"
        "    assert 'hydra' in sys.modules and 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_composed_configuration_can_be_printed(tmp_path: Path) -> None:
    text = ask_command("--cfg", "job", "seed=5", f"hydra.run.dir={tmp_path / 'run'}")
    printed = OmegaConf.create(text)
    assert isinstance(printed, DictConfig)
    assert printed.seed == 5
    assert read_config(printed).seed == 5
    assert not (tmp_path / "run").exists()
