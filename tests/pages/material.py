"""Folders of runs to make pages of, without a search: hostile names in every place."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.core.evaluation import Evaluation
from nas_search.core.files import write_csv, write_json
from nas_search.runs.store import Store
from nas_search.spaces import SPACES
from nas_search.training.finalist import COLUMNS

SPACE = SPACES.get("nasbench201").space()
HOSTILE = "<script>document.title='hacked'</script>"
CLASSES = ("cat", HOSTILE, 'dog\'s & "owl"')

FACTS = {
    "seed": 3,
    "search_space": {"name": "nasbench201", "cells": 1, "channels": 4},
    "proxy": {"name": "gradalign", "batch_size": 32, "repeats": 1},
    "algorithm": {"name": "regularized_evolution", "population": 10, "tournament": 3, "batch": 1},
    "dataset": "imagefolder",
    "dataset_options": {"path": f"/pictures/{HOSTILE}"},
    "num_classes": 3,
    "constraints": {"max_params": 90000},
    "plugins": [],
    "versions": {"nas_search": "0.1.0", "python": "3.11.7"},
}


def evaluations(count: int, seed: int = 0) -> list[Evaluation]:
    """Return random cells with scores that follow from their operations; some have failed."""
    rng = np.random.default_rng(seed)
    told = []
    for n in range(count):
        genotype = SPACE.sample(rng)
        text = str(genotype)
        score = 10.0 * text.count("nor_conv_3x3") + float(rng.normal())
        common: dict[str, Any] = {
            "params": 1000 * (1 + text.count("nor_conv")),
            "macs": 9000 * (1 + text.count("nor_conv_3x3")),
            "seconds": 0.25,
        }
        if n % 10 == 4:
            told.append(
                Evaluation(HOSTILE, f"{n}", "failed", reason=f"{HOSTILE} at layer 1", **common)
            )
        else:
            told.append(Evaluation(text, f"{n}", "ok", {"gradalign": score}, **common))
    return told


def make_run(folder: Path, count: int = 60, seed: int = 0, ended: bool = True) -> Path:
    """Write the store of a search into ``folder``, and what a search leaves at its end."""
    folder.mkdir(parents=True)
    told = evaluations(count, seed)
    notes: dict[str, Any] = {"parents": []}
    if ended:  # each from the one before it: the longest family there can be
        scored = [n for n, e in enumerate(told, 1) if e.status == "ok"]
        older = dict(zip(scored[1:], scored, strict=False))
        notes["parents"] = [[older[n]] if n in older else [] for n in range(1, count + 1)]
    with Store(folder / "run.sqlite") as store:
        store.claim({**FACTS, "seed": seed}, notes)
        for n, evaluation in enumerate(told):
            store.append(evaluation, 0.3 * n)
    if ended:
        write_json(
            folder / "summary.json",
            {"stop": "budget", "search_seconds": 18.5, "device": "cpu", "scoring_seconds": 15.0},
        )
    return folder


def make_training(folder: Path) -> Path:
    """Write two trained networks into ``folder/finalists``, as a training leaves them."""
    rng = np.random.default_rng(5)
    rows = []
    for rank, key in enumerate(("1e234567", "00ab12cd"), 1):
        seed = folder / "finalists" / key / "seed0"
        seed.mkdir(parents=True)
        fields = ["epoch", "loss", "validation_loss", "validation_accuracy"]
        log = [[n, 2 / n, 2.2 / n, 90 - 40 / n - rank] for n in range(1, 9)]
        write_csv(seed / "log.csv", fields, log)
        known = {
            **dict.fromkeys(COLUMNS, ""),
            "rank": rank,
            "key": key,
            "status": "trained",
            "score": 5.0 - rank,
            "validation_accuracy": 85.0 - rank,
            "test_accuracy": 84.25 if rank == 1 else "",
            "seconds": 12.5,
            "genotype": str(SPACE.sample(rng)),
        }
        rows.append([known[name] for name in COLUMNS])
    write_csv(folder / "finalists" / "finalists.csv", COLUMNS, rows)
    counts = [[name, *(9 if i == j else i for j in range(3))] for i, name in enumerate(CLASSES)]
    write_csv(folder / "finalists" / "1e234567" / "confusion.csv", ["true class", *CLASSES], counts)
    return folder


def data_of(page: str) -> Any:
    """Return what the charts and tables of a page show."""
    found = re.search(r'<script type="text/plain" id="data">([^<]*)</script>', page)
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def make_ranking(folder: Path) -> Path:
    """Write a ranking of two scores, of which one is the accuracy itself and one its opposite."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    accuracies = rng.uniform(80, 95, 30)
    lines = [
        {
            "seed": seed,
            "genotype": HOSTILE if n == 0 else str(SPACE.sample(rng)),
            "status": "ok",
            "good": accuracy + seed,
            "bad": -accuracy,
            "test": accuracy,
            "seconds": 0.1,
            "reason": "",
        }
        for seed in (0, 1)
        for n, accuracy in enumerate(accuracies)
    ]
    genotypes = [line["genotype"] for line in lines[:30]]
    for line, genotype in zip(lines[30:], genotypes, strict=True):
        line["genotype"] = genotype
    with (folder / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    from nas_search.pages.ranking_page import SHOWN

    rows = []
    for name, tau in (("bad", -1.0), ("good", 1.0)):
        values = dict.fromkeys(SHOWN, "0.5") | {"proxy": name, "group": "single", "seed": "mean"}
        values |= {"column": "test", "subset": "full", "n": "30", "dead": "0", "tau": str(tau)}
        values |= {"tau_low": str(tau - 0.1), "tau_high": str(tau), "seed_tau": "nan"}
        rows.append(values)
    with (folder / "ranking.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def make_sweep(folder: Path) -> Path:
    """Write a sweep of two seeds without notes, as earlier versions left them."""
    for seed in (0, 1):
        run = make_run(folder / str(seed), 30, seed)
        (run / ".hydra").mkdir()
        (run / ".hydra" / "config.yaml").write_text(f"seed: {seed}\nproxy: {{name: gradalign}}\n")
    return folder
