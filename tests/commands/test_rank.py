"""``python -m nas_search.rank``: its files, that it continues, and how it ends."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from scipy import stats

import nas_search.rank as command
from nas_search.commands.measured_together import BASELINES, measured_together
from nas_search.commands.settings import Settings
from nas_search.data import DATASETS, probe_batch
from nas_search.priors import FITTED, combined, load_prior, shipped_path
from nas_search.proxies import PROXIES
from nas_search.ranking.aggregates import AGGREGATES
from nas_search.scoring import ScoringTask
from tests.tables.made import SPACE, nasbench201

TINY = (
    "benchmark=nasbench201",
    "benchmark.path=table.csv",
    "benchmark.test=[c10_test_200,c100_test_200]",
    "search_space.cells=1",
    "search_space.channels=4",
    "dataset.size=8",
    "batch_size=8",
    "architectures=6",
    "seeds=[0,3]",
    "proxies=[gradalign,gradalign_i]",
    "bootstrap=20",
    "executor=inline",
    "device=cpu",
)

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Call]:
    """Return the command as a function, in a folder with a table of 30 cells."""
    monkeypatch.chdir(tmp_path)
    nasbench201(tmp_path / "table.csv")
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str, base: tuple[str, ...] = TINY) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rank", *base, *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    yield run
    signal.signal(signal.SIGTERM, handler)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


@pytest.mark.slow
def test_a_prior_is_ranked_among_what_is_fitted(call: Call, tmp_path: Path) -> None:
    keys = ("hydra.run.dir=run", "proxies=[prior,gradalign_prior,gradalign]")
    code, out, err = call(*keys)
    assert (code, err) == (0, "")
    assert re.search(r"^ prior \(fitted\) ", out, re.M) and "gradalign_prior (fitted)" in out
    assert "the prior was fitted on test accuracies" in out
    found = rows(tmp_path / "run" / "ranking.csv")
    groups = {row["proxy"]: row["group"] for row in found}
    assert groups["prior"] == groups["gradalign_prior"] == "fitted"
    assert groups["gradalign"] == "single"
    made = rows(tmp_path / "run" / "scores.csv")
    prior = load_prior(shipped_path("nasbench201"), SPACE)
    predicted, _ = prior.predict([row["genotype"] for row in made])
    assert [float(row["prior"]) for row in made] == predicted.tolist()
    values = [float(row["gradalign"] or "nan") for row in made]
    expected = combined(prior, predicted, "gradalign", values)
    joined = [float(row["gradalign_prior"] or "nan") for row in made]
    np.testing.assert_allclose(joined, expected, rtol=1e-12)
    code, _, err = call("hydra.run.dir=run2", "prior=my.prior")
    assert code == 2 and "prior=... is for proxies=[prior]" in err
    code, _, err = call("hydra.run.dir=run2", "proxies=[prior]", "prior=table.csv")
    assert code == 2 and "table.csv is no readable prior" in err
    code, _, err = call("hydra.run.dir=run2", "aggregates={both:[gradalign,prior]}")
    assert code == 2 and "'prior' is fitted to accuracies" in err


def scores(run: Path) -> list[list[str]]:
    """Return what a study scored, without the seconds."""
    found = rows(run / "scores.csv")
    return [[value for key, value in row.items() if key != "seconds"] for row in found]


def test_a_study_leaves_its_tables_and_pictures(call: Call, tmp_path: Path) -> None:
    code, out, err = call("hydra.run.dir=run", "aggregates={both:[gradalign,flops]}")
    assert (code, err) == (0, "")
    digits = DATASETS.get("digits")
    lines = digits.load(digits.options(size=8)).summary
    said = " ".join(out.split())  # lines are wrapped between words
    assert [said.count(line) for line in lines] == [1, 1]  # not for every seed
    run = tmp_path / "run"
    found = rows(run / "ranking.csv")
    names = ("gradalign", "gradalign_i", "both", "params", "flops", "depth", "random")
    subsets = {row["subset"] for row in found}
    expected = {
        (name, column, seed, subset)
        for name in names
        for column in ("c10_test_200", "c100_test_200")
        for seed in ("0", "3", "mean")
        for subset in subsets
    }
    keys = ("proxy", "column", "seed", "subset")
    assert {tuple(row[key] for key in keys) for row in found} == expected
    assert len(found) == len(expected)
    assert {row["n"] for row in found if row["subset"] == "full"} == {"6"}
    assert {row["group"] for row in found if row["proxy"] == "both"} == {"aggregate"}
    made = rows(run / "scores.csv")
    assert [row["seed"] for row in made] == ["0"] * 6 + ["3"] * 6
    assert made[0]["gradalign"] != made[6]["gradalign"]
    assert made[0]["genotype"] == made[6]["genotype"]
    for name in names:
        assert matplotlib.image.imread(run / f"scatter_{name}.png").std() > 0.01
        assert re.search(rf"^ {name} ", out, re.M), out
    assert "both (aggregate)" in out
    assert "rho|params   rho|size" in out
    assert "…" not in out  # no heading and no number is cut off
    assert matplotlib.image.imread(run / "heatmap.png").std() > 0.01
    assert not list(run.glob("*.part"))


@pytest.mark.slow
def test_aggregates_are_made_of_scores_that_are_measured_for_them(
    call: Call, tmp_path: Path
) -> None:
    study = ("seeds=[0]", "proxies=[gradalign,az_nas,te_nas]", "hydra.run.dir=run")
    code, _, err = call(*study, "aggregates={mine:[gradalign,naswot,flops]}")
    assert (code, err) == (0, "")
    found = rows(tmp_path / "run" / "ranking.csv")
    groups = {row["proxy"]: row["group"] for row in found}
    aggregates = ("az_nas", "te_nas", "mine")
    assert {name for name, group in groups.items() if group == "aggregate"} == {*aggregates}
    members = {m for name in ("az_nas", "te_nas") for m in AGGREGATES.get(name).members}
    singles = {"gradalign", "naswot", "params", "flops", "depth", "random", *members}
    assert {name for name, group in groups.items() if group == "single"} == singles
    made = rows(tmp_path / "run" / "scores.csv")
    assert singles < set(made[0])
    ranks = [stats.rankdata([float(r[m]) for r in made]) for m in ("gradalign", "naswot", "flops")]
    accuracy = [float(r["c10_test_200"]) for r in made]
    tau = stats.kendalltau(np.log(ranks).sum(0), accuracy).statistic
    (mine,) = (
        row
        for row in found
        if (row["proxy"], row["column"], row["subset"]) == ("mine", "c10_test_200", "full")
    )
    assert float(mine["tau"]) == pytest.approx(tau)


@pytest.mark.slow
def test_each_score_is_measured_by_its_own_definition(call: Call, tmp_path: Path) -> None:
    names = ("swap", "gradalign_ii", "vkdnw", "linear_regions")
    sizes = {(PROXIES.get(n).batch_size, PROXIES.get(n).repeats) for n in names}
    assert sizes == {(16, 1), (64, 1), (64, 3)}
    base = tuple(a for a in TINY if not a.startswith("batch_size"))
    study = (
        "architectures=[3,7]",
        "seeds=[3]",
        f"proxies=[{','.join(names)}]",
        "hydra.run.dir=run",
    )
    code, _, err = call(*study, base=base)
    assert (code, err) == (0, "")
    digits = DATASETS.get("digits")
    data = digits.load(digits.options(size=8))
    for row in rows(tmp_path / "run" / "scores.csv"):
        for name in (*names, "params", "flops", "depth", "random"):
            record = PROXIES.get(name)
            images, labels = probe_batch(data, record.batch_size, seed=3)
            alone = ScoringTask(
                SPACE, {"cells": 1, "channels": 4}, images, labels, 10, (name,),
                seed=3, repeats=record.repeats,
            ).evaluate(SPACE.parse(row["genotype"]))  # fmt: skip
            assert float(row[name]) == pytest.approx(alone.scores[name], rel=1e-5), name
    facts = stored(tmp_path / "run" / "scores_seed3.sqlite")
    assert {n: (f["batch_size"], f["repeats"], f["init"]) for n, f in facts["scores"].items()} == {
        n: (r.batch_size, r.repeats, r.init) for n, r in ((n, PROXIES.get(n)) for n in names)
    } | dict.fromkeys(("params", "flops", "depth", "random"), (16, 1, "default"))


def stored(store: Path) -> dict[str, Any]:
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    facts = {k: json.loads(v) for k, v in connection.execute("SELECT key, value FROM run")}
    connection.close()
    return facts


@pytest.mark.parametrize(
    ("asked", "tasks"),
    [
        ({}, {(16, 1), (32, 1), (64, 3)}),
        ({"batch_size": 8}, {(8, 1), (8, 3)}),
        ({"repeats": 2}, {(16, 2), (32, 2), (64, 2)}),
        ({"batch_size": 8, "repeats": 2}, {(8, 2)}),
    ],
)
def test_scores_are_grouped_by_images_and_draws(
    asked: dict[str, Any], tasks: set[tuple[int, int]]
) -> None:
    scores = ("swap", "gradalign", "linear_regions", "ntk_cond", *BASELINES)
    groups = measured_together(scores, Settings(init="kaiming_normal", **asked))
    assert {(one.settings.batch_size, one.settings.repeats) for one in groups} == tasks
    assert sorted(name for one in groups for name in one.scores) == sorted(scores)
    assert {one.settings.init for one in groups} == {"kaiming_normal"}
    (with_baselines,) = (one for one in groups if "params" in one.scores)
    assert set(BASELINES) <= set(with_baselines.scores)
    assert with_baselines.settings.repeats == min(repeats for _, repeats in tasks)


def test_baselines_alone_are_one_task() -> None:
    (only,) = measured_together(BASELINES, Settings())
    assert only.scores == BASELINES


def test_a_dead_network_keeps_the_scores_that_it_has(call: Call, tmp_path: Path) -> None:
    dead = "|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
    with (tmp_path / "table.csv").open("a") as file:
        file.write(f"30,{dead},10,10,1\n")
    study = ("architectures=[0,30,1,2]", "proxies=[gradalign,naswot]", "hydra.run.dir=run")
    for _ in range(2):  # the second time all of it comes out of the stores
        assert call(*study)[0] == 0
        made = rows(tmp_path / "run" / "scores.csv")
        row = made[1]
        assert (row["genotype"], row["status"]) == (dead, "dead")
        assert float(row["params"]) > 0
        assert float(row["random"]) >= 0
        assert (row["gradalign"], row["naswot"], row["depth"]) == ("", "", "")
        assert row["reason"] == "gradalign, naswot, depth: the logits do not depend on the image"
        found = rows(tmp_path / "run" / "ranking.csv")
        counts = {r["proxy"]: r["dead"] for r in found if r["subset"] == "full"}
        assert counts == {"gradalign": "1", "naswot": "1", "depth": "1"} | dict.fromkeys(
            ("params", "flops", "random"), "0"
        )


@pytest.mark.slow
def test_repeated_and_enlarged_it_scores_nothing_twice(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, str]] = []
    candidate = ScoringTask.candidate

    def counting(self: ScoringTask, genotype: object) -> object:
        seen.append((self.seed, str(genotype)))
        return candidate(self, genotype)

    monkeypatch.setattr(ScoringTask, "candidate", counting)
    assert call("hydra.run.dir=run")[0] == 0
    assert len(seen) == 12
    before = (tmp_path / "run" / "ranking.csv").read_bytes()
    assert call("hydra.run.dir=run")[0] == 0
    assert len(seen) == 12
    assert (tmp_path / "run" / "ranking.csv").read_bytes() == before
    assert call("hydra.run.dir=run", "architectures=9", "seeds=[3,0,5]")[0] == 0
    assert len(seen) == len(set(seen)) == 27
    assert call("hydra.run.dir=whole", "architectures=9", "seeds=[3,0,5]")[0] == 0
    assert scores(tmp_path / "run") == scores(tmp_path / "whole")


@pytest.mark.slow
def test_workers_do_not_change_a_score(call: Call, tmp_path: Path) -> None:
    assert call("hydra.run.dir=one")[0] == 0
    assert call("hydra.run.dir=two", "executor=processes", "executor.workers=2")[0] == 0
    assert scores(tmp_path / "one") == scores(tmp_path / "two")


@pytest.mark.slow
def test_killed_and_continued_is_the_same_study(call: Call, tmp_path: Path) -> None:
    study = ("architectures=30", "seeds=[0]", "search_space.cells=2")
    store = tmp_path / "killed" / "scores_seed0.sqlite"
    for wanted in (1, 8):
        process = subprocess.Popen(
            [sys.executable, "-m", "nas_search.rank", *TINY, *study, "hydra.run.dir=killed"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for _ in range(6000):
            assert process.poll() is None, process.communicate()
            if recorded(store) >= wanted:
                break
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert 8 <= recorded(store) < 30
    code, out, err = call(*study, "hydra.run.dir=killed")
    assert (code, err) == (0, "")
    assert re.search(r"seed 0: \d+ of 30 architectures are scored", out)
    assert call(*study, "hydra.run.dir=whole")[0] == 0
    assert scores(tmp_path / "killed") == scores(tmp_path / "whole")


def recorded(store: Path) -> int:
    if not store.exists():
        return 0
    try:
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        (count,) = connection.execute("SELECT COUNT(*) FROM evaluations").fetchone()
        connection.close()
    except sqlite3.OperationalError:
        return 0
    return int(count)


def test_ctrl_c_says_that_the_command_continues(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = ScoringTask.candidate
    left = iter(range(3))

    def interrupted(self: ScoringTask, genotype: object) -> object:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return candidate(self, genotype)

    monkeypatch.setattr(ScoringTask, "candidate", interrupted)
    code, out, err = call("hydra.run.dir=run")
    assert code == 130
    assert err.startswith("nas_search: interrupted; to continue: python -m nas_search.rank ")
    assert err.endswith(" hydra.run.dir=run\n")
    assert "seed 0: 3 of 6 architectures are scored\n" in out


BAD = [
    ("benchmark.path=absent.csv", "there is no file absent.csv"),
    ("proxies=[nope]", "unknown proxy 'nope'"),
    ("proxies=[]", "proxies is empty: name at least one score"),
    ("proxies=[gradalign,gradalign]", "names one twice"),
    ("proxies=gradalign,naswot", r"write 'proxies=\[gradalign,naswot\]' for a list, or add --mul"),
    ("proxies=gradalin", "unknown proxy 'gradalin' .did you mean 'gradalign'"),
    ("seeds=[]", "seeds is empty"),
    ("seeds=[-1]", "must be 0 or more"),
    ("seeds=[a]", "seeds"),
    ("architectures=31", "architectures=31 must be between 2 and the 30 of the table"),
    ("architectures=many", "must be a number, all, or a list of rows"),
    ("columns=[nope]", "no column 'nope'; possible: v11_c10valid_val_200"),
    ("aggregates={a:[gradalign,nope]}", "aggregates.a: unknown proxy 'nope'"),
    ("aggregates={a:[gradalign]}", "aggregates.a: .* must name two different scores or more"),
    ("aggregates={flops:[gradalign,params]}", "aggregates.flops: there is a score of that name"),
    ("aggregates={a:[gradalign,az_nas]}", "aggregates.a: 'az_nas' is an aggregate itself"),
    ("proxies=[aggregate]", "name them: aggregates={mine: "),
    ("aggregates={+x:[gradalign,flops]}", "aggregates: '.x' is no name for a column and a file"),
    ("aggregates={../x:[gradalign,flops]}", "aggregates: '../x' is no name for a column"),
    ("bootstrap=-1", "bootstrap=-1 must be 0 or more"),
    ("batch_size=1", "^nas_search: batch_size=1 must be 2 or more"),
    ("repeats=0", "^nas_search: repeats=0 must be 1 or more"),
    ("normalization=nope", "^nas_search: unknown normalization 'nope'; possible: sample, frozen"),
    ("parameters=nope", "^nas_search: unknown parameters 'nope'; possible: weights, all"),
    ("init=nope", "^nas_search: unknown init 'nope'; possible: default, kaiming_normal"),
    ("precision=nope", "^nas_search: unknown precision 'nope'; possible: fp32"),
    ("normalisation=eval", "^nas_search: normalisation is now called normalization; rename it"),
    ("+normalisation=eval", "^nas_search: normalisation is now called normalization; rename it"),
    ("executor.population=4", "^nas_search: executor.population is now called executor.stack"),
    ("search_space=darts search_space.cells=3", "not for search_space=darts"),
    ("search_space.channels=1000000000", "channels must be at most 1,048,576"),
    ("dataset=nope", "unknown dataset 'nope'; possible: aeon, cifar10"),
    ("benchmark=nope", "unknown benchmark 'nope' .did you mean benchmark=none..; possible: csv"),
    ("foo=1", "unknown key 'foo'; see python -m nas_search.rank --help"),
    ("+foo=1", "unknown key 'foo'; possible: aggregates"),
    ("search_space=[nope]", "^nas_search: search_space takes one name, as search_space=NAME; see"),
    (
        "proxies={a:1}",
        r"proxies must be a list, as \[...\], not {a:1}; see python -m nas_search.rank",
    ),
    ("executor={a:1}", "unknown key 'executor.a'; see python -m nas_search.rank --help"),
    ("plugins=[no.such.module]", "cannot import 'no.such.module'"),
    ("device=tpu", "possible: auto, cpu"),
]


@pytest.mark.parametrize(("argument", "message"), BAD, ids=[argument for argument, _ in BAD])
def test_bad_input_is_one_line(call: Call, argument: str, message: str) -> None:
    code, out, err = call(*argument.split(), "hydra.run.dir=run")
    assert code == 2, err
    assert err.startswith("nas_search: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err
    assert "Traceback" not in out + err


def test_without_a_table_there_is_nothing_to_compare_with(call: Call) -> None:
    code, _, err = call("hydra.run.dir=run", base=())
    assert code == 2
    assert "choose benchmark=NAME benchmark.path=FILE" in err


@pytest.mark.slow
def test_a_folder_of_another_study_is_refused(call: Call, tmp_path: Path) -> None:
    assert call("hydra.run.dir=run")[0] == 0
    before = scores(tmp_path / "run")
    for change in ("proxies=[gradalign]", "batch_size=9", "dataset.size=9", "sample_seed=1"):
        code, _, err = call("hydra.run.dir=run", change)
        assert code == 2
        assert "choose another hydra.run.dir" in err
    assert scores(tmp_path / "run") == before


def test_help_lists_the_scores() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nas_search.rank", "--help"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    # Other tests of this process may have registered plugins, of which the command knows nothing.
    own = [record for record in PROXIES if record.score.__module__.startswith("nas_search.")]
    listed = [(record.name, record.summary) for record in own]
    listed += [(record.name, f"{record.summary} (aggregate)") for record in AGGREGATES]
    assert len(listed) > 30
    begin = done.stdout.index("Scores (proxies=")
    lines = done.stdout[begin : done.stdout.index("Values (KEY=VALUE)")].splitlines()[1:]
    shown = [line.split(maxsplit=1) for line in lines if line.strip()]
    fitted = [line for line in shown if line[0] in FITTED]
    assert [name for name, _ in fitted] == sorted(FITTED)
    rest = [line for line in shown if line[0] not in FITTED]
    assert rest == [[name, text[0].upper() + text[1:]] for name, text in sorted(listed)]
    assert "$" not in done.stdout
    assert "benchmark.path=" in done.stdout


def test_the_real_study_of_darts(shared_data: Path, call: Call, tmp_path: Path) -> None:
    base = (
        "search_space=darts",
        "search_space.cells=3",
        "search_space.channels=4",
        "benchmark=csv",
        f"benchmark.path={shared_data / 'darts_trained.csv'}",
        "benchmark.architecture=genotype",
        "benchmark.validation=c10_acc",
        "benchmark.where={protocol:full_600}",
        "dataset.size=8",
        "batch_size=8",
        "architectures=4",
        "seeds=[0]",
        "executor=inline",
    )
    code, _, err = call("hydra.run.dir=run", base=base)
    assert code == 0, err
    found = rows(tmp_path / "run" / "ranking.csv")
    assert {row["subset"] for row in found} == {"full"}
    assert {row["column"] for row in found} == {"c10_acc"}
