"""Whether a trained finalist is at least as good as a plain network on few pictures.

On five kinds of data (studies/small_images.py), 20 to 100 training images per class: the finalist
of a small search is trained by the default recipe, and beside it a plain network of three
convolutions. Both see the same pictures; the finalist holds a tenth of them out for validation, and
learns from all in its last training.

    python -m studies.small_data --cifar10 cifar10.npz

Results are kept in --out as they come; what is there is not trained again.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import nas_search
from benchmarks.common import genotypes, header, say
from benchmarks.reduced import default_recipe
from nas_search.data import ImageData, probe_batch
from nas_search.runs.architecture import Architecture
from nas_search.tables import Array
from nas_search.training import Recipe
from nas_search.training.augment import augment
from studies.markdown import table
from studies.result_files import Row
from studies.small_images import FASHION, SIZE, kinds
from studies.trainings import Results, train_once

SPACE, CELLS, CHANNELS = "nasbench201", 1, 16
CANDIDATES = 20
"""Random architectures, of which the one with the highest default score is trained."""
PROBE = 32
PLAIN_EPOCHS, PLAIN_BATCH, PLAIN_RATE = 40, 16, 1e-3
SETTINGS = ("space", "cells", "channels", "size", "candidates")
COLUMNS = ("kind", "count", "seed", "network", *SETTINGS, "params", "test_accuracy", "seconds")
NETWORKS = ("finalist", "plain")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", help="an .npz; left out if not given")
    parser.add_argument("--counts", type=int, nargs="+", default=[20, 50, 100])
    parser.add_argument("--kinds", nargs="+", help="all that are at hand if not given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("outputs/small_data.csv"))
    options = parser.parse_args()
    makers = kinds(options.cifar10)
    for name, needed in (("cifar10", "--cifar10 FILE"), ("fashion_mnist", str(FASHION))):
        if name not in makers:
            say(f"{name} is left out: it needs {needed}")
    chosen = dict(zip(SETTINGS, (SPACE, CELLS, CHANNELS, SIZE, CANDIDATES), strict=True))
    results = Results(options.out, COLUMNS, chosen, ("kind", "count", "seed", "network"))
    names = options.kinds or list(makers)
    wanted = list(itertools.product(range(options.seeds), options.counts, names, NETWORKS))
    for kind, count, seed, network in results.missing([(k, c, s, n) for s, c, k, n in wanted]):
        data = makers[kind](count, seed)
        run = finalist if network == "finalist" else plain
        params, accuracy, seconds = run(data, default_recipe("fast"), seed)
        results.add(
            {
                **{"kind": kind, "count": count, "seed": seed, "network": network},
                **{"params": params, "test_accuracy": round(accuracy, 4)},
                "seconds": round(seconds, 2),
            }
        )
        say(f"{kind}, {count} per class, seed {seed}: {network} {accuracy:.2f} %")
    say(header(**chosen))
    say(report(results.rows()))


def finalist(data: ImageData, recipe: Recipe, seed: int) -> tuple[int, float, float]:
    """Search and train as the commands do; return (parameters, test accuracy in %, seconds)."""
    begun = perf_counter()
    macro = {"cells": CELLS, "channels": CHANNELS}
    images, labels = probe_batch(data, PROBE, seed=seed)
    scored = []
    for genotype in genotypes(SPACE, CANDIDATES, seed):
        one = Architecture(SPACE, str(genotype), data.input_shape, data.num_classes, macro, {})
        torch.manual_seed(seed)
        score = nas_search.score(one.build(), images, labels)["gradalign"]
        if not math.isnan(score):
            scored.append((score, one))
    best = max(scored, key=lambda pair: pair[0])[1]
    done = train_once(best, data, recipe, seed, "cpu")
    return best.cost().params, done.test[0], perf_counter() - begun


def plain_network(classes: int) -> nn.Module:
    """Return three convolutions with batch-norm, each halved by pooling, and a linear layer."""
    layers: list[nn.Module] = []
    for channels, wider in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(channels, wider, 3, padding=1), nn.BatchNorm2d(wider), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


def plain(data: ImageData, recipe: Recipe, seed: int) -> tuple[int, float, float]:
    """Train the plain network by Adam; return (parameters, test accuracy in %, seconds).

    On all training images, with the augmentation of ``recipe``.
    """
    begun = perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = plain_network(data.num_classes)
        rule = torch.optim.Adam(network.parameters(), PLAIN_RATE)
        rows = torch.arange(len(data.train))
        raw, labels = data.train.raw(rows), data.train.labels
        for _ in range(PLAIN_EPOCHS):
            for part in _batches(torch.randperm(len(rows))):
                images = augment(raw[part], recipe.augmentation, (data.mean, data.std))
                rule.zero_grad()
                functional.cross_entropy(network(images), labels[part]).backward()
                rule.step()
    network.eval()
    with torch.no_grad():
        logits = network(data.test.images(torch.arange(len(data.test))))
    right = (logits.argmax(1) == data.test.labels).double().mean()
    params = sum(parameter.numel() for parameter in network.parameters())
    return params, float(100 * right), perf_counter() - begun


def _batches(order: Tensor) -> Sequence[Tensor]:
    return order.tensor_split(-(-len(order) // PLAIN_BATCH))


def report(rows: list[Row]) -> str:
    """Return mean test accuracies by kind and count, and how far the finalist is ahead.

    Seeds with which not both networks are trained yet are left out.
    """
    accuracies: dict[tuple[str, int], dict[str, dict[str, float]]] = {}
    for row in rows:
        group = accuracies.setdefault((row["kind"], int(row["count"])), {})
        group.setdefault(row["network"], {})[row["seed"]] = float(row["test_accuracy"])
    lines = []
    for (kind, count), by in sorted(accuracies.items()):
        seeds = sorted(set.intersection(*(set(by.get(name, {})) for name in NETWORKS)))
        if not seeds:
            continue
        ours, theirs = (np.array([by[name][seed] for seed in seeds]) for name in NETWORKS)
        lead = ours - theirs
        cells = [f"{values.mean():.1f}{_deviation(values)}" for values in (ours, theirs)]
        line = [
            kind,
            str(count),
            *cells,
            f"{lead.mean():+.1f}",
            f"{(lead >= 0).sum()} of {len(lead)}",
        ]
        lines.append(line)
    titles = ("kind", "images per class", "finalist, %", "plain, %", "ahead by", "seeds not behind")
    return table(titles, lines)


def _deviation(values: Array) -> str:
    return f" +- {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""


if __name__ == "__main__":
    main()
