"""``python -m nas_search.inspect``, and the two lines that a search says of its data."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import hydra
import matplotlib.image
import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from rich.console import Console

from nas_search.commands.command import CONF
from nas_search.commands.inspect_schema import read_inspect_config
from nas_search.commands.run_inspect import run_inspect
from nas_search.commands.run_search import run_search
from nas_search.commands.run_training import run_training
from nas_search.commands.search_schema import read_config
from nas_search.commands.train_schema import TrainConfig
from nas_search.core.errors import InputError
from nas_search.inspect import main
from nas_search.priors import shipped_prior
from nas_search.runs.architecture import Architecture
from nas_search.spaces import SPACES
from nas_search.training import Finalist, FinalistsConfig
from studies.result_files import read_rows
from tests.training.made import architecture, recipe, stripes_data

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("[red]cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(10):
            noise = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "set" / name / f"{i}.png")
    (tmp_path / "set" / "dog" / "notes.txt").write_text("")
    return tmp_path / "set"


def look(directory: Path, *overrides: str) -> str:
    """Look at data in this process; return what was printed, also before a refusal."""
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        config = hydra.compose("inspect", [*overrides])
    out = io.StringIO()
    try:
        run_inspect(read_inspect_config(config), directory, Console(file=out, width=80))
    except InputError as error:
        return f"{out.getvalue()}refused: {error}"
    return out.getvalue()


def test_the_command_says_what_would_be_read_and_draws_it(folder: Path, tmp_path: Path) -> None:
    said = look(tmp_path, "dataset=imagefolder", f"dataset.path={folder}", "samples=3")
    lines = said.splitlines()
    assert lines[0] == (
        "data: 20 of 21 files used; left out: 1 .txt: no format that is read; 2 classes in "
        "training: [red]cat 8, dog 8"
    )
    assert "read as 3 x 32 x 32 (shorter side scaled to 32, center cropped to 32 x 32;" in lines[1]
    assert "search_space=darts takes this size: one of its networks has " in said
    assert "refused" not in said
    assert f"samples as the network sees them: {tmp_path / 'contact_sheet.png'}" in said
    sheet = matplotlib.image.imread(tmp_path / "contact_sheet.png")
    assert sheet.shape[0] > 2 * 72 and sheet.shape[1] > 3 * 72


def test_data_that_a_search_would_refuse_is_refused_after_all_is_said(
    folder: Path, tmp_path: Path
) -> None:
    for i in range(12):
        (folder / "dog" / f"bad{i}.png").write_bytes(b"")
    said = look(tmp_path, "dataset=imagefolder", f"dataset.path={folder}")
    assert said.count("broken: cannot decode") == 10 and "broken: 2 more" in said
    assert said.endswith(
        "refused: images that cannot be read: 12 (see above); repair or remove them"
    )
    assert (tmp_path / "contact_sheet.png").exists()
    for path in folder.rglob("*.png"):
        Image.new("L", (9, 9)).save(path)
    said = look(tmp_path, "dataset=imagefolder", f"dataset.path={folder}")
    assert said.endswith(
        "refused: every training image is of one color throughout: nothing to learn"
    )


def test_a_space_that_does_not_take_the_size_is_said(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        x_train=RNG.normal(size=(20, 2, 64)),
        y_train=np.arange(20) % 2,
    )
    series = ("dataset=npz", f"dataset.path={tmp_path / 'a.npz'}", "dataset.layout=ncl")
    said = look(tmp_path, *series, "search_space=nasbench201")
    assert "read as 2 x 8 x 64 (series (n, channels, length), repeated in 8 rows;" in said
    assert "search_space=nasbench201 takes this size" in said and "refused" not in said
    said = look(tmp_path, *series, "search_space=nasbench201", "dataset.rows=1")
    assert "read as 2 x 1 x 64 (series (n, channels, length), as stored;" in said
    assert "refused: search_space=nasbench201: series of length 64 in one row are too fl" in said
    assert "set dataset.rows=5, or choose search_space=conv1d" in said


def test_an_experiment_of_a_search_says_what_is_looked_at(tmp_path: Path) -> None:
    series = RNG.normal(size=(20, 2, 64))
    np.savez(tmp_path / "a.npz", x_train=series, y_train=np.arange(20) % 2)
    said = look(tmp_path, "experiment=series", f"dataset.path={tmp_path / 'a.npz'}")
    assert "read as 2 x 1 x 64 (series (n, channels, length), as stored;" in said
    assert "search_space=conv1d takes this size" in said and said.count("multiplications a series")


@pytest.mark.parametrize("name", sorted(file.stem for file in Path(CONF).glob("experiment/*.yaml")))
def test_every_experiment_is_taken(name: str) -> None:
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        config = hydra.compose("inspect", [f"experiment={name}"])
        search = hydra.compose("config", [f"experiment={name}"])
    read = read_inspect_config(config)
    assert read.space.name == search.search_space.name
    assert read.dataset.name == search.dataset.name
    OmegaConf.set_struct(config, False)
    config.seed, config.objectives = 3, ["gradalign"]  # as an experiment of one's own may
    assert read_inspect_config(config).what == read.what
    config.sed = 3
    with pytest.raises(InputError, match="unknown key 'sed'"):
        read_inspect_config(config)


def test_the_command_ends_with_2_where_nothing_can_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["nas_search.inspect", "dataset=imagefolder", "images=0"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "images=0 must be 1 or more" in capsys.readouterr().err


def test_a_search_says_what_it_read(folder: Path, tmp_path: Path) -> None:
    overrides = (
        *("search_space=nasbench201", "search_space.cells=1", "search_space.channels=2"),
        *("dataset=imagefolder", f"dataset.path={folder}", "dataset.size=8", "proxy=naswot"),
        *("proxy.batch_size=8", "algorithm=random", "budget.evaluations=2", "executor=inline"),
    )
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        config = hydra.compose("config", [*overrides])
    out = io.StringIO()
    run_search(read_config(config), tmp_path, Console(file=out, width=80))
    said = " ".join(out.getvalue().split())  # lines are wrapped between words
    assert "data: 20 of 21 files used; left out: 1 .txt: no format that is" in said
    assert (
        "2 classes in training: [red]cat 8, dog 8 read as 3 x 8 x 8 (shorter side scaled to 8, "
        "center cropped to 8 x" in said
    )


def test_a_training_says_what_it_read(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    finalist = Finalist(architecture("nasbench201", data))
    config = TrainConfig([finalist], data, recipe(epochs=1), FinalistsConfig(), "cpu")
    out = io.StringIO()
    run_training(config, tmp_path, Console(file=out, width=80))
    said = " ".join(out.getvalue().split())  # lines are wrapped between words
    assert said.startswith("data: 60 images; 3 classes in training: 0 16, 1 16, 2 16 read as")
    assert "test: 20% of each class held out): 48 training, 12 test images" in said


def test_an_architecture_is_explained_by_the_prior(tmp_path: Path) -> None:
    said = look(tmp_path, "dataset.size=8", "architecture=DARTS_V2")
    assert "search_space=darts takes this size: the architecture has " in said
    space = SPACES.get("darts").space()
    (mean,), (deviation,) = shipped_prior(space).predict(["DARTS_V2"])
    assert (
        f"expects {mean:+.2f} of the architecture, with an uncertainty of {deviation:.2f}" in said
    )
    told = read_rows(tmp_path / "effects.csv")
    summed = shipped_prior(space).mean + sum(float(row["effect"]) for row in told)
    assert summed == pytest.approx(mean)
    first = told[0]
    assert f"  {float(first['effect']):+.3f}  {first['feature']} = " in said
    assert "more features together" in said


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["architecture=nothing"], "refused: DARTS genotype: expected"),
        (["architecture=DARTS_V2", "prior=no.prior"], "refused: there is no prior .*no.prior"),
        (["architecture=OTHER"], "OTHER is of search_space=nasbench201, not of darts: add search"),
    ],
)
def test_an_architecture_that_cannot_be_looked_at_is_refused(
    tmp_path: Path, overrides: list[str], message: str
) -> None:
    cell = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    best = Architecture("nasbench201", cell, (3, 8, 8), 10, {"cells": 1, "channels": 4}, {})
    (tmp_path / "best.json").write_text(json.dumps(best.as_dict()))
    given = [one.replace("OTHER", str(tmp_path)) for one in overrides]
    said = look(tmp_path, "dataset.size=8", *given)
    assert re.search(message.replace("OTHER", str(tmp_path)), said), said
    assert said.count("refused") == 1 and "\n" not in said[said.index("refused") :]


def test_without_a_prior_an_architecture_has_its_size_alone(tmp_path: Path) -> None:
    said = look(tmp_path, "dataset.size=8", "architecture=DARTS_V2", "prior=none")
    assert "the architecture has " in said and "expects" not in said
    assert not (tmp_path / "effects.csv").exists()
