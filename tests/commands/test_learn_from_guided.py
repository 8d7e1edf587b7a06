"""``python -m nas_search.learn`` from runs of algorithm=guided: accuracies, scores, refusals."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from rich.console import Console

from nas_search.commands import run_learn as run_learn_module
from nas_search.commands.learn_schema import LearnConfig, read_learn_config
from nas_search.commands.run_learn import run_learn
from nas_search.core.errors import InputError
from nas_search.priors import fit
from nas_search.priors.held_out import judged
from nas_search.runs import open_run
from nas_search.runs.store import Store
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.commands.test_guided import run
from tests.commands.test_learn import write_training

SPACE = Nasbench201Space()
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def accuracy(cell: str) -> float:
    """Return what a training tells in this world: parameters alone, the score, do not."""
    return 60.0 + 4 * cell.count("skip") + 3 * cell.count("conv_3x3") - 2 * cell.count("none")


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "TREES", 60)
    monkeypatch.setattr(run_learn_module, "JUDGED_TREES", 10)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table of all cells."""
    file = tmp_path_factory.mktemp("table") / "table.csv"
    with file.open("w") as out:
        out.write("architecture,accuracy\n")
        for a, b, c, d, e, f in itertools.product(OPERATIONS, repeat=6):
            cell = f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"
            out.write(f'"{cell}",{accuracy(cell)}\n')
    return file


@pytest.fixture(scope="module")
def guided(table: Path) -> Path:
    """Return the folder of a run of 30 trainings, which the table tells."""
    folder = table.parent / "guided"
    run(folder, "benchmark=csv", f"benchmark.path={table}", "budget.trainings=30")
    return folder


@pytest.fixture(scope="module")
def larger(table: Path) -> Path:
    """Return the folder of a run that scores larger networks and trains by the same table."""
    folder = table.parent / "larger"
    values = ("search_space.cells=2", "budget.trainings=6", "seed=1")
    run(folder, "benchmark=csv", f"benchmark.path={table}", *values)
    return folder


def read(*paths: Path, to: Path, **keys: Any) -> LearnConfig:
    values = {"search_space": None, "paths": list(map(str, paths)), "to": str(to), **keys}
    return read_learn_config(OmegaConf.create(values))


def test_what_a_guided_run_trained_orders_cells_that_it_did_not(
    guided: Path, tmp_path: Path
) -> None:
    config = read(guided, to=tmp_path / "my.prior")
    trained = [e for e in open_run(guided).evaluations if "trained_accuracy" in e.scores]
    assert {str(one) for one in config.architectures} == {e.genotype for e in trained}
    ((protocol, told),) = config.accuracies.items()
    assert protocol.startswith("table (") and len(told) == 30
    assert [accuracy(str(one)) for one in config.architectures] == pytest.approx(told)
    prior = run_learn(config, Console(quiet=True))
    seen = {SPACE.canonical(one) for one in config.architectures}
    rng = np.random.default_rng(1)
    drawn = [SPACE.sample(rng) for _ in range(300)]
    cells = [cell for cell in drawn if SPACE.canonical(cell) not in seen]
    true = np.array([accuracy(str(cell)) for cell in cells])
    held_out = judged("table", "never trained", prior.predict(cells)[0], true)
    assert held_out.pairs_low > 0.6  # .5 is chance


def test_scores_of_the_store_are_learned_from_if_asked(guided: Path, tmp_path: Path) -> None:
    config = read(guided, to=tmp_path / "my.prior", scores=["params"])
    scores = [e for e in open_run(guided).evaluations if "params" in e.scores]
    stored = {e.genotype: e.scores["params"] for e in scores}
    assert [stored[str(one)] for one in config.architectures] == config.scores["params"].tolist()
    prior = run_learn(config, Console(quiet=True))
    assert prior.scores == ("params",) and prior.card["scores"] == ["params"]
    told, _ = prior.predict(config.architectures, config.scores)
    other, _ = prior.predict(config.architectures, {"params": config.scores["params"] * 0})
    assert (told != other).any()


def test_trainings_told_alike_are_one_protocol_and_finalists_another(
    guided: Path, larger: Path, tmp_path: Path
) -> None:
    again, text = tmp_path / "again", "|skip_connect~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    write_training(again / "finalists" / "a", text, 50.0)
    write_training(again / "finalists" / "b", text.replace("skip_connect", "none"), 40.0)
    both = read(guided, larger, again, to=tmp_path / "my.prior")
    counts = [int(np.isfinite(column).sum()) for column in both.accuracies.values()]
    assert len(counts) == 2 and 30 < counts[0] <= 36 and counts[1] == 2
    assert next(iter(both.accuracies)).startswith("table (")
    with pytest.raises(InputError, match=r"scores=\[params\]: 2 of \d+ .* have none") as refused:
        read(guided, again, to=tmp_path / "my.prior", scores=["params"])
    assert "\n" not in str(refused.value)


def test_mistakes_are_one_line(guided: Path, larger: Path, table: Path, tmp_path: Path) -> None:
    scored = tmp_path / "scored"
    scored.mkdir()
    with Store(scored / "run.sqlite") as store:
        store.claim({**open_run(guided).config, "dataset": "digits"}, {})
    for paths, keys, message in (
        ((guided, larger), {"scores": ["params"]}, "measured it on other networks"),
        ((guided,), {"scores": ["gradalign"]}, "30 of 30 trained architectures have none"),
        ((table,), {"scores": ["gradalign"], "search_space": {"name": "nasbench201"}}, "no column"),
        ((scored,), {}, "no trained finalist and no run of algorithm=guided"),
        ((guided,), {"search_space": {"name": "darts"}}, "several search spaces"),
        ((larger,), {"weights": {"table": 2.0}}, r"there is no protocol 'table'"),
    ):
        with pytest.raises(InputError, match=message) as refused:
            read(*paths, to=tmp_path / "my.prior", **keys)
        assert "\n" not in str(refused.value)
