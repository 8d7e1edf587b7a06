"""Paths and genotypes are taken as they were typed, whatever characters they have."""

from __future__ import annotations

import shlex

import hydra
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.commands.command import CONF
from nas_search.commands.typed import quoted, readable_by_hydra
from nas_search.core.errors import InputError

PATHS = [
    *(
        "Photos (2024)",
        "a=b",
        "a,b",
        "a#b",
        "a?b",
        "a%25b",
        "~/pics",
        "Übung/日本/é",
        "it's",
        'a"b',
    ),
    *("1_000", "1.50", "007", "true", "choice(a,b)", "range(1,3)", "a&b;c!", "[2024] pics", "{x}"),
    *("C:\\Users\\me\\pics", "C:\\Users\\me\\pics\\", "C:/Users/me x/pics", "\\\\server\\share\\x"),
    *(
        " leading and trailing ",
        "a[1]",
        "*",
        "x:y@z|w",
        "-pics",
        "new\nline",
        "tab\t",
        "$HOME",
        "{",
    ),
]


def composed(name: str, *arguments: str) -> hydra.types.DictConfig:  # type: ignore[name-defined]
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        return hydra.compose(name, overrides=readable_by_hydra(arguments))


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_taken_as_it_stands(path: str) -> None:
    config = composed("config", "dataset=imagefolder", f"dataset.path={path}")
    assert config.dataset.path == path
    assert composed("train", f"run={path}").run == path


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@settings(max_examples=300, deadline=None)
def test_quoting_is_undone_by_hydra(value: str) -> None:
    assert OverridesParser.create().parse_override(f"path={quoted(value)}").value() == value


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("architecture=[DARTS_V2,PC_DARTS]", ["DARTS_V2", "PC_DARTS"]),
        ("architecture=7", "7"),
        ("architecture=null", None),
        ("architecture=|a~0|+|b~0|c~1|", "|a~0|+|b~0|c~1|"),
        ('architecture="|a~0|+|b~0|c~1|"', "|a~0|+|b~0|c~1|"),
        (
            "architecture=Genotype(normal=[('a', 0)], x=range(2, 6))",
            "Genotype(normal=[('a', 0)], x=range(2, 6))",
        ),
        ("architecture='it is'", "it is"),
        ("run=${oc.env:HOME}/x", "${oc.env:HOME}/x"),
        ("run=${oc.env:HOME}/x #1", "${oc.env:HOME}/x #1"),
    ],
)
def test_lists_quotes_and_interpolations_keep_their_meaning(argument: str, value: object) -> None:
    (readable,) = readable_by_hydra([argument])
    assert OverridesParser.create().parse_override(readable).value() == value


def test_a_run_may_lie_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me and you")
    for key in ("hydra.run.dir", "hydra.sweep.dir"):
        assert readable_by_hydra([f"{key}=~/runs #1"]) == [f"{key}='/home/me and you/runs #1'"]
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # a KeyError, as in a container
    with pytest.raises(InputError, match="hydra.run.dir=~/x: there is no home folder for ~; write"):
        readable_by_hydra(["hydra.run.dir=~/x"])


def test_other_arguments_are_left_alone() -> None:
    others = [
        *(
            "-m",
            "seed=0,1",
            "proxies=[a,b]",
            "aggregates={mine: [a,b]}",
            "~seed",
            "hydra/launcher=x",
        ),
        *("--config-dir", "a=b (c)", "--cfg", "job", "seed"),
    ]
    assert readable_by_hydra(others) == others
    sweep = ["-m", "dataset.path=a,b", "run='a b','c'"]
    assert readable_by_hydra(sweep) == sweep
    assert readable_by_hydra(["-m", "dataset.path=a b (1)"]) == ["-m", "dataset.path='a b (1)'"]


@pytest.mark.parametrize("value", ["grün", "a=b", "1/3 (about)", "it's"])
def test_the_form_to_type_is_said_for_other_keys(value: str) -> None:
    with pytest.raises(InputError) as caught:
        readable_by_hydra([f"device={value}"])
    advice = str(caught.value).partition("; type ")[2]
    (typed,) = shlex.split(advice)
    assert readable_by_hydra([typed]) == [typed]
    assert OverridesParser.create().parse_override(typed).value() == value
