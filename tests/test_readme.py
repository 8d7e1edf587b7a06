"""What the README and the docs show works as shown."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nas_search.__main__ as command
from nas_search.core.files import write_json
from nas_search.passes import PASSES
from nas_search.proxies import PROXIES
from nas_search.spaces import SPACES

REPOSITORY = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (REPOSITORY / page).read_text(), re.DOTALL)


def call(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["nas_search", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return int(ended.value.code or 0)


def test_python_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The second and third block are run in tests/training/.
    rebuild, _, _, score, gradients = blocks("README.md", "python")
    space = SPACES.get("darts").space()
    best = {
        "search_space": "darts",
        "genotype": str(space.parse("DARTS_V2")),
        "input_shape": [3, 16, 16],
        "num_classes": 10,
        "macro": {"cells": 4, "channels": 4},
        "space_options": {},
    }
    path = re.findall(r'"(outputs/.*?best.json)"', rebuild)[0]
    (tmp_path / path).parent.mkdir(parents=True)
    write_json(tmp_path / path, best)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in (rebuild, score, gradients):
        exec(block, names)
    assert names["network"](names["images"]).shape == (64, 10)
    assert {gram.shape for gram in names["sink"].grams.values()} == {(64, 64)}
    printed = capsys.readouterr().out
    assert printed.count("{'gradalign': ") == 3
    assert printed.count("'naswot': ") == 1


def test_scores_and_gradients_of_any_network() -> None:
    scored, gradients, own_loss, scored_by_it = blocks("docs/any_network.md", "python")
    names: dict[str, Any] = {}
    exec(scored, names)
    assert set(names["scores"]) == {"gradalign", "naswot", "params"}
    assert not names["scores"].reasons
    exec(gradients, names)
    weights = {"0.weight", "5.weight"}
    assert {gram.shape for gram in names["sink"].grams.values()} == {(32, 32)}
    assert set(names["sink"].grams) == weights
    exec(own_loss, names)
    (squares,) = names["sink"].squares.by_candidate(1)
    assert set(squares) == weights
    exec(scored_by_it, names)
    assert 0 < names["conflict"]["gradalign_i_layerwise"] <= 1  # all are pulled to zero


@pytest.fixture
def registries() -> Iterator[None]:
    """Forget afterwards what was registered from outside the package."""
    with PROXIES.temporarily(), PASSES.temporarily():
        yield


@pytest.mark.usefixtures("registries")
def test_a_proxy_from_outside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = blocks("docs/extending.md", "python")[0]
    (tmp_path / "outside_package.py").write_text(source)
    (tmp_path / "conf" / "proxy").mkdir(parents=True)
    (settings,) = blocks("docs/extending.md", "yaml")
    (tmp_path / "conf" / "proxy" / "worst_pair.yaml").write_text(settings)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.chdir(tmp_path)
    arguments = ["--config-dir", "conf", "plugins=[outside_package]", "proxy=worst_pair"]
    small = "search_space=nasbench201 search_space.cells=1 search_space.channels=4 algorithm=random"
    ending = "budget.evaluations=3 proxy.batch_size=8 dataset.size=8 executor=inline"
    arguments.append("executor.stack=2")
    run = f"hydra.run.dir={tmp_path / 'run'}"
    code = call([*arguments, *small.split(), *ending.split(), run], monkeypatch)
    assert code == 0, capsys.readouterr().err
    header = (tmp_path / "run" / "leaderboard.csv").read_text().splitlines()[0]
    assert header.startswith("rank,worst_pair,")
