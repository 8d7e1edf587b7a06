"""How often scores order trained networks of equal size rightly: one table of all of them.

    python -m studies.equal_size_scores keep OUT
    python -m studies.equal_size_scores report --tables ../shared/data

The first command takes the scores that ``nas_search.rank`` measured below OUT
(PLACE/RUN/scores.csv; studies/study.sh, part ``equal_size``) into
studies/results/network_scores.csv; the second joins them with the tables of trained networks and
writes studies/results/equal_size.csv, and the tables and the picture of docs/equal_size_scores.md.
It takes half a minute.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nas_search.proxies import PROXIES
from nas_search.ranking.equal_size import EqualSizePairs, equal_size_pairs
from nas_search.ranking.noise_ceiling import Noise, noise_ceiling, noise_of
from nas_search.report.equal_size import Panel, Share, equal_size_figure
from nas_search.report.figure import save
from nas_search.spaces import SPACES
from nas_search.tables import BENCHMARKS
from studies.markdown import number, replaced, table
from studies.result_files import RESULTS, read_rows, write_rows

PAGE = Path(__file__).parent.parent / "docs" / "equal_size_scores.md"
PICTURE = PAGE.parent / "study" / "equal_size.png"
KEY = ("place", "genotype", "seed")
"""What a row of scores is of."""
MEASURED = ("place", "column", "size", "band", "score", "n", "pairs", "share", "low", "high")
BANDS = 4
"""Bands of equally many networks."""

DARTS = ("full_600", "short_50", "small_200")
NASBENCH201 = {"c10": "c10_test_200", "c100": "c100_test_200", "in16": "in16_test_200"}


DRAWN = ("gradalign", "swap", "naswot", "synflow", "zen", "depth", "params", "flops", "random")
"""Scores in the picture."""

Results = dict[tuple[str, str, str, str, str], EqualSizePairs]
"""By place, column, size, band and score."""


class Place(NamedTuple):
    """Networks with their scores.

    Attributes:
        name: of the place.
        column: of the accuracies.
        accuracies: (n,).
        params, macs: (n,) sizes.
        scores: (n,) by name.
        ceiling: the share of pairs of equal parameters that noise allows; NaN where unknown.
        recipes: (n,) numbers of training recipes, of which only equal ones make a pair, or None.
    """

    name: str
    column: str
    accuracies: np.ndarray
    params: np.ndarray
    macs: np.ndarray
    scores: dict[str, np.ndarray]
    ceiling: float = math.nan
    recipes: np.ndarray | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keep", help="keep measured scores").add_argument("out", type=Path)
    reporting = commands.add_parser("report", help="write docs/equal_size_scores.md")
    reporting.add_argument("--tables", type=Path, required=True)
    options = parser.parse_args()
    if options.command == "keep":
        keep(options.out, RESULTS / "network_scores.csv")
    else:
        report(options.tables)


def keep(out: Path, kept: Path) -> None:
    """Put the scores below ``out`` into the file ``kept``; other networks in it are left alone."""
    rows = {tuple(row[key] for key in KEY): row for row in read_rows(kept)}
    for path in sorted(out.glob("*/*/scores.csv")):
        for row in read_rows(path):
            row["place"] = path.parent.parent.name
            scores = {
                name: f"{float(score):.7g}" if score else ""
                for name, score in row.items()
                if name in PROXIES.names()  # accuracies are left to the tables
            }
            key = tuple(row[name] for name in KEY)
            rows.setdefault(key, dict(zip(KEY, key, strict=True))).update(scores)
    names = dict.fromkeys(name for row in rows.values() for name in row)
    write_rows(kept, list(names), rows.values())


def report(tables: Path) -> None:
    """Measure, and write the tables and the picture."""
    places = list(all_places(tables))
    results: Results = {}
    for place in places:
        for size, sizes in (("params", place.params), ("macs", place.macs)):
            # Sizes of other recipes are made so different that they never make a pair.
            apart = 1.0 if place.recipes is None else 1e6**place.recipes
            pair_sizes = sizes * apart
            for band, inside in bands(sizes):
                for name, values in place.scores.items():
                    key = (place.name, place.column, size, band, name)
                    results[key] = equal_size_pairs(
                        values[inside], place.accuracies[inside], pair_sizes[inside]
                    )
    counts = {(p.name, p.column): int(np.isfinite(p.accuracies).sum()) for p in places}
    write_rows(
        RESULTS / "equal_size.csv",
        MEASURED,
        (
            dict(zip(MEASURED, (*key, str(counts[key[:2]]), *_texts(r)), strict=True))
            for key, r in results.items()
        ),
    )
    page = PAGE.read_text()
    for size in ("params", "macs"):
        page = replaced(page, f"equal {size}", _summary(places, results, size))
        page = replaced(page, f"bands of {size}", _bands(places, results, size))
    PAGE.write_text(page)
    save(equal_size_figure(_panels(places, results)), PICTURE)


def _panels(places: list[Place], results: Results) -> list[Panel]:
    """Return one panel per place, by its first accuracy: the scores of :data:`DRAWN`."""
    first = {place.name: place for place in reversed(places)}
    return [
        Panel(
            f"{name} (n = {int(np.isfinite(place.accuracies).sum()):,})",
            {
                score: Share(*results[name, place.column, "params", "all", score][:3])
                for score in DRAWN
                if score in place.scores
            },
            place.ceiling,
        )
        for name, place in reversed(first.items())
    ]


def bands(sizes: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield "all" and "1" (small) to "4" (large), each with the networks inside, (n,)."""
    yield "all", np.ones(len(sizes), dtype=bool)
    limits = np.nanquantile(sizes, np.arange(1, BANDS) / BANDS)
    numbers = np.where(np.isnan(sizes), -1, np.searchsorted(limits, sizes, side="left"))
    for band in range(BANDS):
        yield str(band + 1), numbers == band


def all_places(tables: Path) -> Iterator[Place]:
    """Yield every place for which there are scores."""
    kept = _kept(RESULTS / "network_scores.csv")
    trained = read_rows(tables / "darts_trained.csv")
    for protocol in DARTS:
        accuracies = {
            row["genotype"]: float(row["c10_acc"]) for row in trained if row["protocol"] == protocol
        }
        yield from _scored(kept, protocol, {"c10_acc": accuracies})
    yield from _nasbench201(tables, kept)
    yield from _nasbench101(tables, kept)
    yield from _macro(tables)
    yield from _timm(tables)


def _kept(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return the kept scores, means over seeds, by place, score and genotype."""
    values: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row in read_rows(path):
        scores = values.setdefault(row["place"], {})
        for proxy in [name for name in row if name not in KEY]:
            draws = scores.setdefault(proxy, {}).setdefault(row["genotype"], [])
            draws.append(float(row[proxy] or "nan"))
    return {
        place: {
            proxy: {text: float(np.mean(draws)) for text, draws in of_score.items()}
            for proxy, of_score in scores.items()
        }
        for place, scores in values.items()
    }


def _scored(
    kept: dict[str, dict[str, dict[str, float]]],
    place: str,
    columns: dict[str, dict[str, float]],
    noise: dict[str, dict[str, float]] | None = None,
) -> Iterator[Place]:
    """Yield the kept scores of a place against each column of accuracies by genotype."""
    if place not in kept:
        return
    texts = list(kept[place]["params"])
    scores = {
        name: np.array([of_score.get(text, math.nan) for text in texts])
        for name, of_score in kept[place].items()
    }
    for column, accuracy in columns.items():
        accuracies = np.array([accuracy.get(text, math.nan) for text in texts])
        ceiling = math.nan
        if noise:
            variance = np.array([noise[column][text] for text in texts])
            ceiling = noise_ceiling(
                accuracies, variance, np.ones(len(texts)), scores["params"], 0.1
            ).share
        yield Place(place, column, accuracies, scores["params"], scores["flops"], scores, ceiling)


def _nasbench201(tables: Path, kept: dict[str, dict[str, dict[str, float]]]) -> Iterator[Place]:
    """Yield our scores of some cells, then the peers' scores of all."""
    record = BENCHMARKS.get("nasbench201")
    path = tables / "nasbench201.csv"
    accuracies = record.read(SPACES.get("nasbench201").space(), record.options(path=str(path)))
    every = list(range(len(accuracies)))
    noises = {c: noise_of(accuracies, c, every) for c in NASBENCH201.values()}
    texts = [str(cell) for cell in accuracies.architectures]
    yield from _scored(
        kept,
        "nasbench201",
        {c: dict(zip(texts, accuracies.columns[c], strict=True)) for c in noises},
        {c: dict(zip(texts, n.variance, strict=True)) for c, n in noises.items() if n},
    )
    peers = _columns(tables / "nasbench201_peer_scores.csv")
    rows = _columns(path)
    params, macs = rows["params_M"], rows["flops_M"]
    for dataset, column in NASBENCH201.items():
        scores = {
            name.removeprefix(f"{dataset}_").replace("nbsz_", "nbsz "): values
            for name, values in peers.items()
            if name.startswith(f"{dataset}_")
        }
        noise, values = noises[column], accuracies.columns[column]
        ceiling = (
            noise_ceiling(values, *noise, params, 0.1).share if noise is not None else math.nan
        )
        yield Place(
            "nasbench201 (peers)", column, values, params, macs,
            {**scores, "params": params, "flops": macs}, ceiling,
        )  # fmt: skip


def _nasbench101(tables: Path, kept: dict[str, dict[str, dict[str, float]]]) -> Iterator[Place]:
    if "nasbench101" not in kept:
        return
    record = BENCHMARKS.get("nasbench101")
    space = SPACES.get("nasbench101").space()
    accuracies = record.read(space, record.options(path=str(tables / "nasbench101.npz")))
    column = accuracies.validation
    values = {}
    for text in kept["nasbench101"]["params"]:
        value = accuracies.accuracy(space.parse(text), column)
        values[text] = math.nan if value is None else value
    yield from _scored(kept, "nasbench101", {column: values})


def _macro(tables: Path) -> Iterator[Place]:
    """Yield the sizes of NAS-Bench-Macro, whose accuracies are means of three trainings."""
    rows = _columns(tables / "nas_bench_macro.csv")
    params, macs = rows["params"], rows["flops"]
    noise = Noise(rows["std"] ** 2, np.full(len(params), 3.0))
    ceiling = noise_ceiling(rows["mean_acc"], *noise, params, 0.1).share
    yield Place(
        "nas_bench_macro", "mean_acc", rows["mean_acc"], params, macs,
        {"params": params, "flops": macs}, ceiling,
    )  # fmt: skip


def _timm(tables: Path) -> Iterator[Place]:
    """Yield the models of timm; only those of one training recipe make a pair."""
    rows = read_rows(tables / "timm_same_recipe.csv")
    recipes = {name: place for place, name in enumerate(sorted({r["recipe"] for r in rows}))}
    numbers = np.array([float(recipes[row["recipe"]]) for row in rows])
    params, macs, activations, accuracies = (
        np.array([float(row[name] or "nan") for row in rows])
        for name in ("params_M", "gmacs", "activations_M", "imagenet_top1")
    )
    for name, resolution in (("timm_64", "64 x 64"), ("timm_full", "full size")):
        scores: dict[str, dict[str, float]] = {}
        for row in read_rows(RESULTS / f"{name}.csv"):
            value = float(row["score"] or "nan")
            scores.setdefault(row["proxy"], {})[row["model"]] = value
        if not scores:
            continue
        here = np.array([any(r["model"] in s for s in scores.values()) for r in rows])
        values = {
            proxy: np.array([s.get(row["model"], math.nan) for row in rows])[here]
            for proxy, s in scores.items()
        }
        values |= {"params": params[here], "flops": macs[here], "activations": activations[here]}
        yield Place(
            f"timm, {resolution}", "imagenet_top1", accuracies[here], params[here], macs[here],
            values, recipes=numbers[here],
        )  # fmt: skip


def _columns(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of numbers of a CSV; NaN where a cell is empty."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    columns = {}
    for place, name in enumerate(rows[0]):
        try:
            columns[name] = np.array([float(row[place] or "nan") for row in rows[1:]])
        except ValueError:
            continue
    return columns


def _title(place: Place) -> str:
    return f"{place.name}, {place.column} ({int(np.isfinite(place.accuracies).sum()):,})"


def _texts(result: EqualSizePairs) -> tuple[str, ...]:
    return (str(result.pairs), *(f"{value:.4f}" for value in result[:3]))


def _cell(result: EqualSizePairs | None, interval: bool = True) -> str:
    if result is None or not result.pairs:
        return "-"
    share = number(f"{result.share:.3f}")
    if not interval:
        return share
    text = f"{share} [{_short(result.low)}, {_short(result.high)}]"
    return f"**{text}**" if result.low > 0.5 else text


def _short(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1)


def _names(places: list[Place], results: Results, size: str) -> list[str]:
    """Return the scores, those of most places first, then the highest mean share."""
    shares: dict[str, list[float]] = {}
    for place in places:
        for name in place.scores:
            share = results[place.name, place.column, size, "all", name].share
            shares.setdefault(name, []).append(share)
    return sorted(shares, key=lambda name: (-len(shares[name]), -np.nanmean(shares[name])))


def _summary(places: list[Place], results: Results, size: str) -> str:
    """Return one line per score and one column per place and accuracy."""
    lines = [
        [
            f"`{name}`",
            *(_cell(results.get((p.name, p.column, size, "all", name))) for p in places),
        ]
        for name in _names(places, results, size)
    ]
    pairs = [
        max(results[p.name, p.column, size, "all", name].pairs for name in p.scores) for p in places
    ]
    lines.append(["pairs", *(f"{count:,}" for count in pairs)])
    if size == "params":
        lines.append(["noise ceiling", *(number(f"{p.ceiling:.3f}") for p in places)])
    return table(["score", *map(_title, places)], lines)


def _bands(places: list[Place], results: Results, size: str) -> str:
    """Return one line per place and score: the share within each band of size."""
    lines = []
    for place in places:
        for name in _names([place], results, size):
            keys = [(place.name, place.column, size, str(b + 1), name) for b in range(BANDS)]
            lines.append(
                [f"{place.name}, {place.column}", f"`{name}`", *(_cell(results[k]) for k in keys)]
            )
    return table(["place", "score", *(f"band {b + 1}" for b in range(BANDS))], lines)


if __name__ == "__main__":
    main()
