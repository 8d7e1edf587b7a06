"""Every configuration composes and is read; every mistake in one is said in one line."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
import pytest
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_search.__main__ import CONF
from nas_search.commands.search_schema import GROUPS, SearchConfig, read_config
from nas_search.core.errors import InputError
from nas_search.data import DATASETS
from nas_search.proxies import PROXIES
from nas_search.scoring.workers import KINDS
from nas_search.search import ALGORITHMS
from nas_search.spaces import SPACES
from nas_search.tables import BENCHMARKS
from nas_search.tables.table import NONE

CHOICES = {
    group: sorted(path.stem for path in (Path(CONF) / group).glob("*.yaml"))
    for group in GROUPS
    if (Path(CONF) / group).is_dir()
}


def compose(*overrides: str) -> SearchConfig:
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        return read_config(hydra.compose("config", overrides=list(overrides)))


def check(choice: dict[str, str]) -> None:
    """Compose this choice of groups, read it and see that it was chosen."""
    overrides = [f"{group}={name}" for group, name in choice.items()]
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        config = read_config(hydra.compose("config", overrides=overrides))
    names = {
        "search_space": config.space.name,
        "proxy": config.proxy.name,
        "algorithm": config.algorithm.name,
        "dataset": config.dataset.name,
        "executor": config.executor.name,
    }
    for group, name in choice.items():
        assert names.get(group, name) == name


POOLS = [record.name for record in PROXIES if record.needs_pool]
ALONE = {  # what a search can choose without a table at hand
    group: [
        name
        for name in names
        if (group != "benchmark" and name not in ("oracle", *POOLS)) or name == NONE
    ]
    for group, names in CHOICES.items()
}


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group, names in ALONE.items() for name in names]
)
def test_every_choice_is_read(group: str, name: str) -> None:
    check({group: name})


@pytest.mark.slow
@pytest.mark.parametrize("groups", list(itertools.combinations(ALONE, 2)), ids="-".join)
def test_every_pair_of_choices_is_read(groups: tuple[str, str]) -> None:
    # All combinations are tens of thousands: hours, in which a third group never mattered.
    for names in itertools.product(*(ALONE[group] for group in groups)):
        check(dict(zip(groups, names, strict=True)))


@pytest.mark.parametrize("name", POOLS)
def test_what_needs_a_pool_composes_and_is_refused_by_a_search(name: str) -> None:
    how = "aggregates={mine: [naswot,flops]}" if name == "aggregate" else f"proxies=[{name}]"
    members = ["proxy.members=[naswot,flops]"] if name == "aggregate" else []
    with pytest.raises(InputError, match=re.escape(f"python -m nas_search.rank '{how}'")):
        compose(f"proxy={name}", *members)


@pytest.mark.parametrize("name", BENCHMARKS.names())
def test_a_benchmark_and_an_oracle_want_their_table(name: str) -> None:
    space = f"search_space={name if name in SPACES.names() else 'darts'}"
    with pytest.raises(InputError, match=f"benchmark={name} needs a file"):
        compose(f"benchmark={name}", space)
    with pytest.raises(InputError, match=f"benchmark={name} needs a file"):
        compose(f"benchmark={name}", space, "proxy=oracle")
    with pytest.raises(InputError, match="proxy=oracle looks accuracies up in a table: choose"):
        compose("proxy=oracle")


@pytest.mark.parametrize(
    ("group", "registered"),
    [
        ("search_space", SPACES.names()),
        ("proxy", sorted([*PROXIES.names(), "oracle"])),
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
            structured = OmegaConf.to_container(OmegaConf.structured(entry.options))
            assert values == structured, entry.name


def test_the_default_is_the_command_of_the_title() -> None:
    config = compose()
    assert (config.space.name, config.proxy.name) == ("darts", "gradalign")
    assert (config.algorithm.name, config.dataset.name) == ("regularized_evolution", "digits")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+seeed=1", "unknown key 'seeed'; possible: device, plugins, precision, seed, top"),
        ("+proxy.batchsize=3", "unknown key 'proxy.batchsize'; possible: batch_size"),
        ("+algorithm.elite=3", "unknown key 'algorithm.elite'; possible: "),
        ("+search_space.depth=3", "unknown key 'search_space.depth'; possible: "),
        ("+budget.hours=3", "unknown key 'budget.hours'; possible: evaluations, minutes"),
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
        ("algorithm.batch=two", "algorithm.batch='two' must be a whole number"),
        ("algorithm.batch=true", "algorithm.batch=True must be a whole number"),
        ("algorithm.population=1", "algorithm.population=1 must be 2 or more"),
        ("algorithm.tournament=101", "algorithm.tournament=101 must be between 1 and"),
        ("algorithm.crossover=2", "algorithm.crossover=2.0 must be between 0 and 1"),
        ("budget.evaluations=0", "budget.evaluations=0 must be 1 or more"),
        ("budget.evaluations=9", "budget.evaluations=9 does not even fill the first population"),
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


def test_help_tells_a_person_what_to_type() -> None:
    text = ask_command("--help")
    for group, names in CHOICES.items():
        line = next(line for line in text.splitlines() if line.startswith(f"{group}: "))
        assert line == f"{group}: {', '.join(names)}"
    for words in ("Usage: python -m nas_search", "hydra.run.dir=", "Examples:", "proxy=gradalign"):
        assert words in text
    assert "$" not in text  # no placeholder was left
    choices = tuple(f"{group}: " for group in CHOICES)  # Hydra lists a group's names in one line
    assert max(len(line) for line in text.splitlines() if not line.startswith(choices)) < 110


def test_the_composed_configuration_can_be_printed(tmp_path: Path) -> None:
    text = ask_command("--cfg", "job", "seed=5", f"hydra.run.dir={tmp_path / 'run'}")
    printed = OmegaConf.create(text)
    assert printed.seed == 5
    assert read_config(printed).seed == 5
    assert not (tmp_path / "run").exists()
