"""Every command of every page is one that its program takes, and those of the README run."""

from __future__ import annotations

import csv
import functools
import re
import shutil
import sys
from pathlib import Path

import pytest

from nas_search.passes import PASSES
from nas_search.proxies import PROXIES
from nas_search.spaces import SPACES
from tests.docs.rules import check
from tests.docs.shell import FENCE, PAGES, REPOSITORY, SHELL, STARTS, Command, scripts, started
from tests.docs.small import run_small
from tests.docs.world import add_files, code

README = REPOSITORY / "README.md"
TUTORIAL = REPOSITORY / "docs" / "tutorial.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_the_commands_of_a_page_are_taken(
    page: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    monkeypatch.syspath_prepend(str(world))
    commands = [one for script in scripts(page) for one in started(script, world)]
    wrong = [f"{' '.join(one)}\n    {why}" for one in commands if (why := refusal(one))]
    assert not wrong, "\n".join(wrong)


@functools.cache
def refusal(command: Command) -> str:
    """Return why a command is not taken, empty if it is; pages have many in common."""
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            SPACES.temporarily(), PROXIES.temporarily(), PASSES.temporarily(),
        ):  # fmt: skip
            check(command, patch)
    except AssertionError as error:
        return str(error) or "it is refused"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_blocks_of_commands_say_so(page: Path) -> None:
    blocks = FENCE.findall(page.read_text(encoding="utf-8"))
    unsaid = [
        line
        for _, language, block in blocks
        if language not in SHELL
        for line in block.splitlines()
        if STARTS.match(line.strip())
    ]
    assert not unsaid, "begin the block with ```sh, so that its commands are checked"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("python -m nas_search proxy.batch_sise=3", "proxy.batch_sise=3"),
        ("python -m nas_search -m seed=0,1 budget.minute=3", "budget.minute=3"),
        ("python -m nas_search.train run=FOLDER finalist.k=3", "finalist.k=3"),
        ("python -m nas_search.report FOLDER --to-html x", "--to-html"),
        ("python -m studies.fronts --tabel x", "--tabel"),
        ("python -m benchmarks.calls --k 3", "--k"),
        ("pip install '.[onxx]'", "onxx"),
        ("pip install hydra-joblib-luncher", "luncher"),
        ("studies/study.sh A B C grids", "grids"),
        ("frobnicate --all", "nothing is known of 'frobnicate --all'"),
        ("python -m nas_search seed=range(3)", "syntax error"),
    ],
)
def test_a_command_that_is_wrong_is_told(
    line: str, why: str, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    with pytest.raises(AssertionError, match=why):
        for command in started(line, world):
            check(command, monkeypatch)


@pytest.mark.slow
def test_the_tutorial_leads_to_a_network_that_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for script in scripts(TUTORIAL):
        for module, *arguments in ours(script, tmp_path):
            if "--serve" not in arguments:
                assert run_small(module, arguments, monkeypatch) == 0, (module, arguments)
    finalists = tmp_path / "outputs" / "trained" / "finalists"
    with (finalists / "finalists.csv").open(encoding="utf-8") as file:
        winner = next(csv.DictReader(file))
    shutil.copytree(finalists / winner["key"], tmp_path / "my_network")
    capsys.readouterr()
    (program,) = code("docs/tutorial.md", "python")
    exec(program, {})
    assert re.fullmatch(r"[0-3] \d+%\n", capsys.readouterr().out)
    for name in ("my_network", "my_network.model"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def ours(script: str, folder: Path) -> list[Command]:
    """Return the commands of this package in a script: module and arguments."""
    return [
        one[2:]
        for one in started(script, folder)
        if one[:2] == ("python", "-m") and one[2].startswith("nas_search")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(scripts(README))))
def test_the_commands_of_the_readme_run(
    number: int, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    for module, *arguments in ours(scripts(README)[number], world):
        if "--serve" not in arguments:  # which never ends: tests/pages/test_serve.py
            assert run_small(module, arguments, monkeypatch) == 0, (module, arguments)
