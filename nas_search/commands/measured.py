"""What was measured of a run's latency, as ``latency.json`` keeps it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from scipy.stats import kendalltau

from nas_search.core.errors import InputError, RunError
from nas_search.core.files import write_json
from nas_search.core.text import read_text
from nas_search.costs import At
from nas_search.costs.measure import Device, Timing, relative_error, time_network
from nas_search.costs.predictor import FOLDS, fit_predictor
from nas_search.spaces import SearchSpace

TRIES = 100
"""Draws per network that is measured, so that a small space need not have so many."""


@contextmanager
def clear_disk_errors(file: Path) -> Iterator[None]:
    """Turn a full or read-only disk into one line."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot write to {file.parent} ({error.strerror}); free space or permissions and "
            "repeat the command: what was measured is kept"
        ) from error


def load(file: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what ``file`` keeps of measurements with ``settings``; nothing yet if it is missing.

    Raises:
        InputError: it keeps something else.
    """
    if not file.exists():
        return {"settings": settings, "networks": []}
    try:
        kept = json.loads(read_text(file))
        there = kept["settings"]
        kept["networks"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} holds no measurements ({error}); delete it") from None
    if there != json.loads(json.dumps(settings)):
        names = [k for k in settings if there.get(k) != json.loads(json.dumps(settings[k]))]
        raise InputError(
            f"{file} holds latencies measured with other settings ({', '.join(names)}); repeat the "
            "command that made it, or choose another hydra.run.dir"
        )
    return dict(kept)


def measure(
    kept: dict[str, Any],
    count: int,
    space: SearchSpace[Any],
    at: At,
    device: Device,
    seed: int,
    file: Path,
    console: Console,
) -> None:
    """Measure random networks that ``kept`` does not have yet, then the first one once more."""
    networks: list[dict[str, Any]] = kept["networks"]
    rng = np.random.default_rng([seed, *b"latency"])
    genotypes: dict[str, Any] = {}
    for _ in range(TRIES * count):
        if len(genotypes) == count:
            break
        genotype = space.sample(rng)
        genotypes.setdefault(space.canonical(genotype), genotype)
    if len(genotypes) < 2 * FOLDS:
        raise InputError(f"{space.name} has too few networks to fit a predictor of latency")
    if len(networks) < len(genotypes):
        console.print(f"measuring {len(genotypes)} networks on {device.device} for the latency")
    for genotype in list(genotypes.values())[len(networks) :]:
        timed = time_one(space, genotype, at, device)
        networks.append({"genotype": str(genotype), **dataclasses.asdict(timed)})
        write_json(file, kept)
    again = time_one(space, space.parse(networks[0]["genotype"]), at, device)
    kept["drift"] = again.milliseconds / networks[0]["milliseconds"] - 1


def fit(kept: dict[str, Any], space: SearchSpace[Any], at: At) -> None:
    """Add the predictor of the measured networks to ``kept``, and how far it is off."""
    networks = kept["networks"]
    times = [one["milliseconds"] for one in networks]
    found = fit_predictor(space, [space.parse(one["genotype"]) for one in networks], times, at)
    for one, predicted in zip(networks, found.held_out, strict=True):
        one["held_out_prediction"] = predicted
    kept["error"] = relative_error(found.held_out, times)
    kept["kendall_tau"] = float(np.nan_to_num(kendalltau(found.held_out, times).statistic))
    kept["predictor"] = found.predictor.as_dict()


def remarks(kept: dict[str, Any], bounds: Mapping[str, float]) -> list[str]:
    """Return what is to be said of the measurements and the predictor, under ``bounds`` by key."""
    networks = kept["networks"]
    times = [one["milliseconds"] for one in networks]
    spread = float(np.median([one["spread"] for one in networks]))
    outliers = sum(one["outliers"] for one in networks)
    runs = sum(one["runs"] for one in networks)
    # The standard error of a median of normal runs, from their interquartile range.
    noise = float(np.median([1.25 * o["spread"] / 1.349 / o["runs"] ** 0.5 for o in networks]))
    lines = [
        f"latency: {len(networks)} networks take {min(times):.3g} to {max(times):.3g} ms, median "
        f"spread {spread:.1%}, {outliers} of {runs} runs are outliers; predictions for networks "
        f"not in the fit are off by {kept['error']:.1%} on average, Kendall tau "
        f"{kept['kendall_tau']:.2f}; a median of {networks[0]['runs']} runs is itself uncertain by "
        f"{noise:.1%}"
    ]
    noisy = [f"runs of one network spread by {spread:.0%}"] if spread > 0.1 else []
    noisy += [f"the first network took {kept['drift']:+.0%} at the end"] * (
        abs(kept["drift"]) > 0.1
    )
    if noisy:
        lines.append(f"this device is busy or changes its clock: {' and '.join(noisy)}")
    most, least = bounds.get("max_latency_ms", math.inf), bounds.get("min_latency_ms", 0.0)
    if most < min(times) or least > max(times):
        key, bound = ("max", most) if most < min(times) else ("min", least)
        lines.append(
            f"none of the measured networks meets constraints.{key}_latency_ms={bound:g}: "
            "predictions there lie outside of what was measured; those of the best are measured at "
            "the end"
        )
    return lines


def time_one(space: SearchSpace[Any], genotype: Any, at: At, device: Device) -> Timing:
    """Return what the network of ``genotype`` takes; its weights do not matter."""
    with torch.random.fork_rng(devices=[]):
        network = space.build(genotype, at.input_shape, at.num_classes, **at.macro)
    return time_network(network, at.input_shape, device)


def said(one: Timing) -> str:
    """Return a timing as a part of a sentence."""
    outliers = f", {one.outliers} outliers" if one.outliers else ""
    return f"{one.milliseconds:.3g} ms (spread {one.spread:.1%} of {one.runs} runs{outliers})"
