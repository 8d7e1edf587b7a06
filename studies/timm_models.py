r"""How well scores at initialization order torchvision-like models that were trained by one recipe.

Each model of the table is built by timm with fresh weights and scored by ``nas_search.score`` on
CIFAR-10 pictures, enlarged to the size asked for. Within each recipe, scores are compared with the
models' ImageNet top-1 by Kendall's tau and Spearman's rho, beside parameters, multiply-accumulates
and activations.

    python -m studies.timm_models score --table timm_same_recipe.csv --images cifar10.npz --size 64
    python -m studies.timm_models score --table timm_same_recipe.csv --images cifar10.npz --n 8 \
        --to studies/results/timm_full.csv
    python -m studies.timm_models report --table timm_same_recipe.csv

The first command takes an hour or more on one core, the second (full resolution) several; both
continue where they stopped. Models whose residual branches begin at
zero hide most of their weights from every score that uses gradients; such scales are set to one,
unless --as-built is given.
"""

from __future__ import annotations

import argparse
import csv
import gc
import importlib
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import kendalltau, spearmanr
from torch import Tensor, nn

import nas_search
from benchmarks.common import header
from studies.forms import GRID
from studies.markdown import replaced, table

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "timm.md"

PROXIES = (
    *("gradalign", "gradalign_ii_layerwise", "gradalign_i_layerwise"),
    *("naswot", "swap", "grad_norm", "snip", "plain", "fisher", "jacob_cov", "synflow"),
    *("l2_norm", "depth", "params", "flops"),
)
SIZES = ("params_M", "gmacs", "activations_M")
"""What the table itself says of each model; ``activations_M`` counts what convolutions put out."""

FIELDS = ("model", "size", "n", "proxy", "score", "reason", "seconds")
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    scoring = commands.add_parser("score", help="score the models that are not scored yet")
    reporting = commands.add_parser("report", help="write the tables of docs/timm.md")
    for command in (scoring, reporting):
        command.add_argument("--table", type=Path, required=True)
    scoring.add_argument("--images", type=Path, required=True, help="npz with x_train, y_train")
    scoring.add_argument("--size", type=int, default=None, help="pixels; default: each model's own")
    scoring.add_argument("--n", type=int, default=32, help="images in the probe batch")
    scoring.add_argument("--proxies", nargs="+", default=list(PROXIES))
    scoring.add_argument("--grid", action="store_true", help="what studies.another_form needs")
    scoring.add_argument("--as-built", action="store_true", help="leave residual scales of zero")
    scoring.add_argument("--to", type=Path, default=RESULTS / "timm_64.csv")
    options = parser.parse_args()
    if options.command == "score":
        torch.set_num_threads(1)
        if options.grid:
            importlib.import_module("studies.gradalign_forms")
            options.proxies = ["gradalign", "params", "flops", "depth", *GRID]
        score_models(options)
    else:
        report(options.table)


def score_models(options: argparse.Namespace) -> None:
    """Score every model of the table once per size; append what is found to ``options.to``."""
    import timm

    models = {row["model"]: int(row["img_size"]) for row in read_rows(options.table)}
    done = {row["model"] for row in read_rows(options.to)} if options.to.exists() else set()
    smallest_first = sorted(models, key=lambda model: macs_of(options.table, model))
    for model in smallest_first:
        if model in done:
            continue
        size = options.size or models[model]
        torch.manual_seed(0)
        network = create(timm, model, size)
        images, labels = probe(options.images, options.n, size)
        if not options.as_built:
            open_branches(network)
        start = perf_counter()
        scores, reasons = scores_of(network, images, labels, options.proxies)
        took = perf_counter() - start
        new = not options.to.exists()
        with options.to.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(FIELDS)
            for proxy, score in scores.items():
                text = "" if math.isnan(score) else f"{score:.8g}"
                reason = reasons.get(proxy, "")
                writer.writerow([model, size, options.n, proxy, text, reason, f"{took:.1f}"])
        print(f"{model} {size} x {size}: {took:.1f} s", flush=True)
        del network, images
        gc.collect()


def scores_of(
    network: nn.Module, images: Tensor, labels: Tensor, proxies: Sequence[str]
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the scores, NaN where there is none, and the reasons of those."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = nas_search.score(network, images, labels, proxies)
    except Exception as error:  # a network that does not take pictures of this size
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        return dict.fromkeys(proxies, math.nan), dict.fromkeys(proxies, reason)
    return dict(scores), scores.reasons


def create(timm: object, model: str, size: int) -> nn.Module:
    """Return the model with fresh weights, for pictures of ``size`` where it asks."""
    make = timm.create_model  # type: ignore[attr-defined]
    try:
        network: nn.Module = make(model, img_size=size)
    except TypeError:  # a network that takes any size
        network = make(model)
    return network


def open_branches(network: nn.Module) -> None:
    """Set scales that begin at zero to one: last batch-norms of residual branches, skip gains."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            is_scale = parameter.dim() <= 1 and not name.endswith("bias")
            if is_scale and not parameter.any():
                parameter.fill_(1.0)


def probe(file: Path, n: int, size: int) -> tuple[Tensor, Tensor]:
    """Return ``n`` standardized pictures (n, 3, size, size), ten classes in turn, and labels."""
    with np.load(file) as data:
        pictures, classes = data["x_train"], data["y_train"]
    of_class = [np.flatnonzero(classes == label) for label in range(10)]
    chosen = [int(of_class[i % 10][i // 10]) for i in range(n)]
    images = torch.from_numpy(pictures[chosen]).float() / 255
    images = images.permute(0, 3, 1, 2) if images.shape[-1] == 3 else images
    images = F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    return ((images - mean) / deviation).contiguous(), torch.from_numpy(
        classes[chosen].astype(np.int64)
    )


def report(source: Path) -> None:
    """Write the rank correlations within each recipe to the page."""
    page = PAGE.read_text(encoding="utf-8")
    for name in ("timm_64", "timm_full"):
        file = RESULTS / f"{name}.csv"
        if file.exists():
            page = replaced(page, name, correlations(source, file))
    PAGE.write_text(page, encoding="utf-8")
    print(header(table=source.name))


def correlations(source: Path, file: Path) -> str:
    """Return a table: scores down, recipes across, tau / rho in the cells."""
    found: dict[str, dict[str, float]] = {}
    for row in read_rows(file):
        found.setdefault(row["proxy"], {})[row["model"]] = value(row, "score")
    models = {model for scores in found.values() for model in scores}
    recipes: dict[str, list[dict[str, str]]] = {}
    for row in read_rows(source):
        if row["model"] in models:
            recipes.setdefault(row["recipe"], []).append(row)
    recipes = {recipe: rows for recipe, rows in recipes.items() if len(rows) >= 5}
    lines = []
    for name in (*found, *SIZES):
        cells, taus, weights = [], [], []
        for rows in recipes.values():
            accuracies = [float(row["imagenet_top1"]) for row in rows]
            scores = [
                value(row, name) if name in SIZES else found[name].get(row["model"], math.nan)
                for row in rows
            ]
            tau, rho, n = agreement(scores, accuracies)
            cells.append("-" if math.isnan(tau) else f"{tau:.2f} / {rho:.2f}" + missing(n, rows))
            if not math.isnan(tau):
                taus.append(tau)
                weights.append(n)
        mean = f"{np.average(taus, weights=weights):.2f}" if taus else "-"
        lines.append([f"`{name}`", mean, *cells])
    titles = ["", "mean tau", *(f"`{recipe}` ({len(rows)})" for recipe, rows in recipes.items())]
    return table(titles, lines)


def missing(n: int, rows: Sequence[object]) -> str:
    """Return how many networks have a score, where not all have."""
    return "" if n == len(rows) else f" ({n})"


def agreement(scores: Sequence[float], accuracies: Sequence[float]) -> tuple[float, float, int]:
    """Return Kendall's tau and Spearman's rho over the networks that have a score, and their n."""
    pairs = [(s, a) for s, a in zip(scores, accuracies, strict=True) if not math.isnan(s)]
    if len(pairs) < 4 or len({s for s, _ in pairs}) < 2:
        return math.nan, math.nan, len(pairs)
    left, right = zip(*pairs, strict=True)
    return float(kendalltau(left, right)[0]), float(spearmanr(left, right)[0]), len(pairs)


def macs_of(source: Path, model: str) -> float:
    """Return a model's multiply-accumulates, in billions; infinite where the table has none."""
    return next(value(row, "gmacs", math.inf) for row in read_rows(source) if row["model"] == model)


def value(row: dict[str, str], column: str, missing: float = math.nan) -> float:
    """Return the number in a column, ``missing`` where it is empty."""
    return float(row[column]) if row[column] else missing


def read_rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


if __name__ == "__main__":
    main()
