"""``python -m nas_search.learn``: from runs and tables to a file, and its refusals."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from rich.console import Console
from scipy.stats import spearmanr

from nas_search.commands import run_learn as run_learn_module
from nas_search.commands.learn_schema import read_learn_config
from nas_search.commands.run_learn import run_learn
from nas_search.commands.typed import gathered
from nas_search.core.errors import InputError
from nas_search.priors import Prior, fit, load_prior
from nas_search.runs.architecture import Architecture
from nas_search.runs.trainings import trainings_in
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.nasbench201 import Nasbench201Space

SPACE = Nasbench201Space()


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "TREES", 60)
    monkeypatch.setattr(run_learn_module, "JUDGED_TREES", 10)


def cells(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(str(SPACE.sample(rng)) for _ in range(count)))


def accuracy(cell: str) -> float:
    return 50.0 + 5 * cell.count("conv_3x3") + 2 * cell.count("conv_1x1")


def write_table(path: Path, texts: list[str], **columns: Any) -> Path:
    lines = [",".join(["architecture", "accuracy", *columns])]
    for row, text in enumerate(texts):
        more = [str(values[row]) for values in columns.values()]
        lines.append(",".join([text, str(accuracy(text)), *more]))
    path.write_text("\n".join(lines))
    return path


def write_training(folder: Path, text: str, value: float | None, **changes: Any) -> None:
    folder.mkdir(parents=True)
    sizes = {"cells": 1, "channels": 4}
    architecture = Architecture("nasbench201", text, (3, 8, 8), 10, sizes, {})
    (folder / "genotype.json").write_text(json.dumps(architecture.as_dict()))
    metrics = {
        **{"status": "trained", "validation_accuracy": value, "epochs": 9, "seeds": [0]},
        **{"recipe": "fast", **changes},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))


def learn(*paths: Path, to: Path, screen: Any = None, **keys: Any) -> Prior:
    config = {"search_space": None, "paths": list(map(str, paths)), "to": str(to), **keys}
    console = Console(file=screen, width=200) if screen else Console(quiet=True)
    return run_learn(read_learn_config(OmegaConf.create(config)), console)


NAMED = {"search_space": {"name": "nasbench201"}}


def test_a_table_becomes_a_prior_that_orders_other_cells(tmp_path: Path, capsys: Any) -> None:
    table = write_table(tmp_path / "mine.csv", cells(40))
    with (tmp_path / "said.txt").open("w") as screen:
        learned = learn(table, to=tmp_path / "my.prior", screen=screen, **NAMED)
    read = load_prior(tmp_path / "my.prior", SPACE)
    unseen = cells(150, seed=9)
    mean, _ = read.predict(unseen)
    np.testing.assert_array_equal(mean, learned.predict(unseen)[0])
    assert spearmanr(mean, [accuracy(one) for one in unseen]).statistic > 0.75
    assert read.card["trainings"] == {"table": len(cells(40))}
    (figure,) = read.card["held_out"]
    assert figure["pairs"] > 0.75 and figure["pairs_low"] < figure["pairs"] < figure["pairs_high"]
    assert read.references["gradalign"].measured  # so proxy=gradalign_prior takes it
    said = (tmp_path / "said.txt").read_text()
    assert "table: 40 trainings" in said and "% of pairs rightly" in said
    assert "proxy=prior proxy.path=" in said


def test_trained_finalists_of_runs_are_read(tmp_path: Path) -> None:
    texts = cells(24)
    for number, text in enumerate(texts):
        folder = tmp_path / f"run{number % 2}" / "finalists" / f"k{number}"
        write_training(folder, text, accuracy(text))
    stopped = tmp_path / "run0" / "finalists"
    write_training(stopped / "stopped", cells(30)[-1], 10.0, status="stopped")
    write_training(stopped / "broken", cells(29)[-1], None)
    write_training(stopped / "long", cells(28)[-1], 99.0, epochs=90)
    folders = [tmp_path / "run0", tmp_path / "run1"]
    trainings = [one for folder in folders for one in trainings_in(folder)]
    assert len(trainings) == 25
    assert len({one.protocol for one in trainings}) == 2
    prior = learn(*folders, to=tmp_path / "my.prior")
    assert sorted(prior.card["trainings"].values()) == [1, 24]
    assert spearmanr(prior.predict(texts)[0], [accuracy(one) for one in texts]).statistic > 0.8


def test_on_top_of_a_prior_a_few_trainings_are_enough(tmp_path: Path) -> None:
    learn(write_table(tmp_path / "many.csv", cells(100)), to=tmp_path / "many.prior", **NAMED)
    few = write_table(tmp_path / "few.csv", cells(6, seed=3))
    alone = learn(few, to=tmp_path / "few.prior", **NAMED)
    base = str(tmp_path / "many.prior")
    on_top = learn(few, to=tmp_path / "both.prior", on=base, **NAMED)
    unseen = cells(150, seed=9)
    truth = [accuracy(one) for one in unseen]
    right = [spearmanr(one.predict(unseen)[0], truth).statistic for one in (on_top, alone)]
    assert right[0] > right[1] + 0.03
    assert on_top.card["on"]["trainings"] == {"table": len(cells(100))}


def test_protocols_and_their_weights_are_taken(tmp_path: Path) -> None:
    texts = cells(30)
    how = ["long" if number % 3 else "short" for number in range(len(texts))]
    table = write_table(tmp_path / "mine.csv", texts, how=how)
    columns = {"architecture": "architecture", "accuracy": "accuracy", "protocol": "how"}
    keys: dict[str, Any] = {**NAMED, "table": columns}
    prior = learn(table, to=tmp_path / "my.prior", weights={"long": 4.0}, **keys)
    assert prior.card["weights"] == {"short": 1.0, "long": 4.0}
    with pytest.raises(InputError, match=r"no protocol 'lnog'.*long"):
        learn(table, to=tmp_path / "my.prior", weights={"lnog": 4.0}, **keys)


def test_the_shipped_prior_names_the_space_of_a_table(tmp_path: Path) -> None:
    space = DartsSpace()
    texts = [str(space.sample(np.random.default_rng(seed))) for seed in range(8)]
    lines = [f'"{text}",{value}' for value, text in enumerate(texts, 60)]
    (tmp_path / "mine.csv").write_text("\n".join(["architecture,accuracy", *lines]))
    prior = learn(tmp_path / "mine.csv", to=tmp_path / "my.prior", on="darts")
    assert prior.space.name == "darts" and set(prior.card["on"]["trainings"]) >= {"full_600"}


def test_bad_inputs_get_one_line(tmp_path: Path) -> None:
    to = tmp_path / "my.prior"
    table = write_table(tmp_path / "mine.csv", cells(20))
    three = write_table(tmp_path / "three.csv", cells(3))
    one = write_table(tmp_path / "one.csv", cells(1))
    same = tmp_path / "same.csv"
    same.write_text("\n".join(["architecture,accuracy", *(f"{one},90" for one in cells(20))]))
    other = tmp_path / "other.csv"
    other.write_text("cell,acc\na,1\n")
    broken = tmp_path / "broken.csv"
    broken.write_text("architecture,accuracy\nfoo,90\n")
    (tmp_path / "empty").mkdir()
    write_training(tmp_path / "odd" / "finalists" / "a", cells(1)[0], 50.0)
    (tmp_path / "odd" / "finalists" / "a" / "metrics.json").write_text("{}")
    binary = tmp_path / "model.bin"
    binary.write_bytes(bytes(range(256)))
    for path, keys, said in (
        (three, NAMED, "^3 trained architectures are too few to learn from; give 5 or more, 20 "),
        (one, NAMED, "^1 trained architecture is too few to learn from; give 5 or more, 20 to"),
        (same, NAMED, "all 20 accuracies are equal"),
        (other, NAMED, r"no column 'architecture'.*table\.architecture=NAME"),
        (broken, NAMED, "row 1: a nasbench201 cell"),
        (binary, NAMED, "cannot read"),
        (tmp_path / "nothing", NAMED, "there is no file or folder"),
        (tmp_path / "empty", NAMED, "holds no trained finalist"),
        (tmp_path / "odd", NAMED, "is no record of a training"),
        (table, {}, "say of which search space"),
        (table, {**NAMED, "on": "darts"}, "not of search_space=nasbench201"),
        (table, {**NAMED, "on": str(table)}, "no readable prior"),
        (table, {**NAMED, "sed": 1}, "unknown key 'sed'"),
    ):
        with pytest.raises(InputError, match=said) as refused:
            learn(path, to=to, **keys)
        assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match="there is no folder for such a file"):
        learn(table, to=tmp_path / "none" / "my.prior", **NAMED)
    unsaid = OmegaConf.create({"search_space": None, "paths": [str(table)], "to": None})
    with pytest.raises(InputError, match="say where the prior goes"):
        read_learn_config(unsaid)
    with pytest.raises(InputError, match="say what to learn from"):
        learn(to=to, **NAMED)
    assert not to.exists()


def test_trainings_that_compare_with_no_other_are_counted_and_told_apart() -> None:
    alone = {name: [90.0 if i == at else np.nan for i in range(6)] for at, name in enumerate("ab")}
    four = {"c": [np.nan, np.nan, 1.0, 2.0, 3.0, 4.0]}
    with pytest.raises(InputError) as refused:
        fit.fit_prior(SPACE, cells(6), {**alone, **four})
    assert str(refused.value) == (
        "6 trained architectures are too few to learn from, 2 of them each the only one of its "
        "protocol, which compares with no other; give 5 or more of one protocol, 20 to help a "
        "search"
    )


def test_a_table_of_something_else_than_accuracies_gets_a_note(tmp_path: Path) -> None:
    screen = io.StringIO()
    file = tmp_path / "losses.csv"
    rows = [f"{cell},{-accuracy(cell) - n / 100}" for n, cell in enumerate(cells(12))]
    file.write_text("\n".join(["architecture,accuracy", *rows]))
    learn(file, to=tmp_path / "my.prior", screen=screen, **NAMED)
    said = " ".join(screen.getvalue().split())
    assert f"note: {file}, column 'accuracy': 12 of 12 values are outside 0 to " in said
    file, screen = write_table(tmp_path / "mine.csv", cells(12)), io.StringIO()
    learn(file, to=tmp_path / "my.prior", screen=screen, **NAMED)
    assert "trainings" in screen.getvalue() and "note:" not in screen.getvalue()


def test_runs_of_several_spaces_make_no_prior(tmp_path: Path) -> None:
    write_training(tmp_path / "a" / "finalists" / "a", cells(1)[0], 50.0)
    with pytest.raises(InputError, match="several search spaces, darts and nasbench201"):
        learn(tmp_path / "a", to=tmp_path / "my.prior", search_space={"name": "darts"})


def test_arguments_without_a_key_are_the_paths() -> None:
    typed = ["outputs/a b", "to=my.prior", "it's.csv", "-cd", "conf", "seed=1", "x=1/run"]
    assert gathered(typed, "paths") == [
        r"paths=['outputs/a b','it\'s.csv']",
        *("to=my.prior", "-cd", "conf", "seed=1", "x=1/run"),
    ]
    assert gathered(["to=a"], "paths") == ["to=a"]
