"""The table of scores at equal size: bands, kept scores, and a report of made tables."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from nas_search.ranking.equal_size import equal_size_pairs
from studies import equal_size_scores as study
from studies.result_files import RESULTS, read_rows


def test_bands_hold_every_network_once_and_equally_many() -> None:
    sizes = np.random.default_rng(0).permutation(100).astype(float)
    found = dict(study.bands(sizes))
    assert found["all"].all()
    assert [int(found[str(band)].sum()) for band in range(1, 5)] == [25] * 4
    assert sizes[found["1"]].max() < sizes[found["2"]].min()
    assert not dict(study.bands(np.append(sizes, math.nan)))["4"][-1]


def write(path: Path, seed: int, rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seed", "genotype", "status", "naswot", "params", "c10_acc", "reason"])
        writer.writerows([str(seed), *row] for row in rows)


def test_scores_are_kept_and_joined_with_accuracies(tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    write(tmp_path / "out/short_50/a/scores.csv", 0, [["A", "ok", "1.5", "10", "90", ""]])
    study.keep(tmp_path / "out", kept)
    # Another run adds a draw, and a network without a score.
    rows = [["A", "ok", "2.5", "10", "90", ""], ["B", "dead", "", "11", "80", "dead"]]
    write(tmp_path / "out/short_50/a/scores.csv", 1, rows)
    study.keep(tmp_path / "out", kept)
    assert [row["naswot"] for row in read_rows(kept)] == ["1.5", "2.5", ""]
    assert "c10_acc" not in read_rows(kept)[0]
    (place,) = study._scored(
        {"short_50": {**study._kept(kept)["short_50"], "flops": {"A": 1.0, "B": 1.0}}},
        "short_50",
        {"c10_acc": {"A": 90.0, "B": 80.0}},
    )
    assert place.scores["naswot"].tolist()[0] == 2
    assert math.isnan(place.scores["naswot"][1])
    result = equal_size_pairs(place.scores["naswot"], place.accuracies, place.params)
    assert (result.share, result.pairs) == (1, 1)


@pytest.mark.slow
def test_the_page_shows_what_the_command_finds(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "picture.png"
    text = study.PAGE.read_text()
    page.write_text(text)
    results = tmp_path / "results"
    results.mkdir()
    for name in ("network_scores", "timm_64", "timm_full"):
        (results / f"{name}.csv").write_bytes((RESULTS / f"{name}.csv").read_bytes())
    monkeypatch.setattr(study, "PAGE", page)
    monkeypatch.setattr(study, "PICTURE", picture)
    monkeypatch.setattr(study, "RESULTS", results)
    study.report(shared_data)
    assert page.read_text() == text
    assert picture.stat().st_size > 10_000
