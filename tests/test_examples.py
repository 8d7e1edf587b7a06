"""The examples do what they say."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from torch import nn

import nas_search
from nas_search.passes import PASSES
from nas_search.proxies import PROXIES
from nas_search.spaces import SPACES, Choices
from nas_search.spaces.module import ModuleSpace
from nas_search.testing.proxies import ProxyConformance
from nas_search.testing.spaces import SearchSpaceConformance
from tests.conftest import Register

with SPACES.temporarily(), PASSES.temporarily(), PROXIES.temporarily():  # other tests see no more
    from examples import (
        gradients_of_any_network,
        own_network,
        own_score,
        own_space,
        score_timm_models,
    )

    LOGITS, LOGIT_SPREAD = PASSES.get("logits"), PROXIES.get("logit_spread")

REPOSITORY = Path(__file__).parents[1]
SMALL = (
    *("budget.evaluations=3", "budget.minutes=null", "algorithm=random", "executor=inline"),
    *("executor.stack=2", "proxy.batch_size=8", "dataset.size=8", "search_space.channels=4"),
    *("device=cpu", "hydra.run.dir=run"),
)


def run(*arguments: str, folder: Path = REPOSITORY) -> str:
    """Run python in a process of its own: the registries and the book of this one stay."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def search(
    example: ModuleType, folder: Path, *more: str, small: Sequence[str] = SMALL
) -> dict[str, str]:
    """Run the search of an example's docstring, made small; return the leaderboard's first row."""
    (shown,) = re.findall(r"^python (-m nas_search .*)$", str(example.__doc__), re.MULTILINE)
    run(*shown.split(), *(value.replace("=run", f"={folder}") for value in (*small, *more)))
    with (folder / "leaderboard.csv").open(newline="", encoding="utf-8") as file:
        return next(csv.DictReader(file))


@pytest.mark.slow
def test_a_layer_of_ones_own_inherits_its_tests() -> None:
    shown = run("-m", "pytest", "-p", "no:cacheprovider", "examples/own_layer.py")
    assert "skipped" not in shown


class TestChain(SearchSpaceConformance):
    space = own_space.ChainSpace()
    macro = {"channels": 2}  # noqa: RUF012

    def test_chains_that_differ_in_where_they_skip_are_one(self) -> None:
        rows = product(own_space.BLOCKS, repeat=own_space.LENGTH)
        forms = {self.space.canonical(Choices(row)) for row in rows}
        assert len(forms) == sum(4**blocks for blocks in range(own_space.LENGTH + 1))


@pytest.mark.slow
def test_a_space_of_ones_own_is_searched(tmp_path: Path) -> None:
    best = search(own_space, tmp_path, "algorithm=random")
    assert str(own_space.ChainSpace().parse(best["genotype"])) == best["genotype"]


class TestLogitSpread(ProxyConformance):
    proxy = "logit_spread"

    @pytest.fixture(autouse=True)
    def registered(self, register: Register) -> None:
        register(PASSES, LOGITS)
        register(PROXIES, LOGIT_SPREAD)


@pytest.fixture
def spread(register: Register) -> None:
    register(PASSES, LOGITS)
    register(PROXIES, LOGIT_SPREAD)


@pytest.mark.usefixtures("spread")
def test_a_score_of_ones_own_is_what_it_says() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))
    images, labels = torch.randn(6, 3, 8, 8), torch.arange(6) % 5
    scores = nas_search.score(network, images, labels, ["logit_spread"])
    logits = network.double().train()(images.double())
    mean = logits.sum(0) / 6
    expected = (((logits - mean) ** 2).sum(0) / 5).sqrt().sum() / 5
    assert scores["logit_spread"] == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.usefixtures("spread")
def test_a_score_of_ones_own_scores_networks_of_torchvision(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own_score.main(["squeezenet1_1"])
    _, row = capsys.readouterr().out.splitlines()
    name, spread, *others = row.split()
    assert name == "squeezenet1_1"
    assert float(spread) > 0
    assert len(others) == 2


@pytest.mark.slow
def test_a_score_of_ones_own_is_searched_by(tmp_path: Path) -> None:
    best = search(own_score, tmp_path, "search_space=nasbench201", "search_space.cells=1")
    assert float(best["logit_spread"]) > 0


@pytest.mark.parametrize("network", ["own", "squeezenet1_1"])
def test_gradients_are_those_of_the_loop(network: str, capsys: pytest.CaptureFixture[str]) -> None:
    gradients_of_any_network.main([network, "--images", "3", "--size", "32"])
    *matrix, difference, _ = capsys.readouterr().out.splitlines()
    cosines = torch.tensor([[float(x) for x in row.split()] for row in matrix])
    assert cosines.shape == (3, 3)
    assert cosines.diagonal().tolist() == [1, 1, 1]
    assert torch.equal(cosines, cosines.T)
    assert float(re.findall(r"\d\.\de[-+]\d+", difference)[0]) < 1e-10


def timm_table(shown: str, columns: int) -> dict[str, list[str]]:
    """Return the columns of each model's row."""
    rows = [line.split() for line in shown.splitlines() if line and "," not in line]
    return {name: values for name, *values in rows[1:] if len(values) == columns}


def test_models_of_timm_have_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot, models = tmp_path / "scores.png", ["test_resnet", "test_vit"]
    chosen = ["--models", *models, "--size", "32", "--images", "4", "--proxies", "grad_norm"]
    score_timm_models.main([*chosen, "--to", str(plot)])
    table = timm_table(capsys.readouterr().out, 3)
    assert list(table) == models
    for name, (params, macs, norm) in table.items():
        network = score_timm_models.create(name, 32)
        assert float(params) == pytest.approx(
            sum(p.numel() for p in network.parameters()), rel=1e-3
        )
        assert float(macs) > 0
        assert float(norm) > 0
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_twenty_models_of_timm_have_scores(capsys: pytest.CaptureFixture[str]) -> None:
    score_timm_models.main(["--proxies", "grad_norm", "--images", "10"])
    table = timm_table(capsys.readouterr().out, 3)
    assert list(table) == list(score_timm_models.MODELS)
    assert len(table) == 20
    assert all(float(norm) > 0 for _, _, norm in table.values())


def test_without_timm_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(SystemExit, match="pip install timm"):
        score_timm_models.main(["--models", "resnet18"])


def test_torchvisions_resnet_is_elastic() -> None:
    values = yaml.safe_load(
        (REPOSITORY / "examples/conf/search_space/elastic_resnet.yaml").read_text()
    )
    assert values.pop("name") == "module"
    space = ModuleSpace(**values)
    two = space.parse("stages=2,depth1=1,width1=16,depth2=2,width2=32")
    text = "stages=4,depth1=2,width1=64,depth2=2,width2=128,depth3=2,width3=256,depth4=2,width4=512"
    resnet18 = space.cost(space.parse(text), (3, 224, 224), 1000)
    # The published one but for a stem of 3 x 3 instead of 7 x 7.
    assert resnet18.params == 11_689_512 - 3 * 64 * (49 - 9)
    stem, one, shrinking, block = 3 * 9 * 16 + 32, 2 * 9 * 256 + 64, 0, 0
    shrinking = 9 * 16 * 32 + 9 * 32 * 32 + 16 * 32 + 3 * 64
    block = 2 * (9 * 32 * 32 + 64)
    assert space.cost(two, (3, 32, 32), 10).params == stem + one + shrinking + block + 330


@pytest.mark.slow
def test_a_network_of_ones_own_is_searched_trained_and_exported(tmp_path: Path) -> None:
    best = search(
        *(own_network, tmp_path, "search_space.choices.stages=[2,3]", "proxy=params"),
        *("finalists.k=1", "recipe.epochs=1", "recipe.min_steps=0"),
        *(f"search_space.choices.width{i}={{from:4,to:8,step:4}}" for i in (1, 2, 3)),
        small=[value for value in SMALL if "search_space" not in value],
    )
    (folder,) = [one for one in (tmp_path / "finalists").iterdir() if one.is_dir()]
    assert "It needs torch, torchvision and the weights" in (folder / "model.py").read_text()
    count = "print(sum(p.numel() for p in network.parameters()))"
    alone = run("-c", f"import model; network = model.load(); {count}", folder=folder)
    load = f"import nas_search; network = nas_search.load({str(tmp_path)!r}).build()"
    again = run("-c", f"{load}; {count}")
    assert int(alone) == int(again) == int(best["params"])
