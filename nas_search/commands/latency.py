"""The group ``latency``: networks measured before a search, the predictor, the best measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from scipy.stats import kendalltau

from nas_search.commands.reading import read_as
from nas_search.core.device import resolve_device
from nas_search.core.errors import InputError
from nas_search.core.files import user_path, write_csv, write_json
from nas_search.core.text import read_text
from nas_search.costs import At
from nas_search.costs.measure import (
    Device,
    LatencyPrecision,
    Runtime,
    Timing,
    relative_error,
    time_network,
)
from nas_search.costs.predictor import (
    FOLDS,
    LatencyPredictor,
    LatencyTable,
    fit_predictor,
    read_latency_table,
)
from nas_search.spaces import SearchSpace

FILE = "latency.json"
"""What was measured, in the folder of a run: a continued run measures nothing twice."""

TRIES = 100
"""Draws per network that is measured, so that a small space need not have so many."""


@dataclass(frozen=True)
class LatencyConfig:
    """Where latency is measured, and how much.

    Attributes:
        device: torch device on which the network will run.
        threads: CPU threads of one run.
        batch: images of one run.
        precision: ``fp32`` or ``bf16``.
        runtime: ``torch`` or ``onnx``.
        repeats: timed runs of a network.
        networks: random networks that are measured before the search, for the predictor.
        best: how many of the best architectures are measured after the search.
        table: CSV file with the columns genotype and latency, in place of all measuring before.
    """

    device: str = "cpu"
    threads: int = 1
    batch: int = 1
    precision: LatencyPrecision = "fp32"
    runtime: Runtime = "torch"
    repeats: int = 30
    networks: int = 40
    best: int = 5
    table: str | None = None

    def __post_init__(self) -> None:
        if self.networks < 2 * FOLDS:
            raise InputError(
                f"latency.networks={self.networks} must be {2 * FOLDS} or more: the predictor is "
                "tested on networks that it was not fitted on"
            )
        if self.best < 0:
            raise InputError(f"latency.best={self.best} must be 0 or more")

    def measuring(self) -> Device:
        """Return how networks are run.

        Raises:
            InputError: this machine has no such device or runtime, or a number is impossible.
        """
        return Device(
            resolve_device(self.device),
            self.threads,
            self.batch,
            self.precision,
            self.runtime,
            self.repeats,
        )


@dataclass(frozen=True)
class Latency:
    """What tells latencies in one run.

    Attributes:
        device: how networks are run.
        at: the size at which they are.
        model: predictor or table.
        file: where measurements are kept.
    """

    device: Device
    at: At
    model: LatencyPredictor | LatencyTable
    file: Path

    def facts(self) -> dict[str, Any]:
        """Return what defines the latencies that a search saw, in short."""
        known = json.dumps(self.model.as_dict(), sort_keys=True)
        digest = hashlib.sha256(known.encode()).hexdigest()[:16]
        return {**dataclasses.asdict(self.device), "digest": digest}


def read_latency(values: dict[str, Any]) -> LatencyConfig:
    """Return the group ``latency``.

    Raises:
        InputError: there is no such key, or a value is impossible.
    """
    return read_as(LatencyConfig, "latency", values)


def prepare_latency(
    config: LatencyConfig,
    space: SearchSpace[Any],
    at: At,
    seed: int,
    directory: Path,
    console: Console,
) -> Latency:
    """Return what tells latencies: a table, or a predictor of networks that are measured now.

    What was measured is kept in ``directory``, network by network, and the fitted predictor too, so
    that a run that is continued sees the latencies that it saw before.

    Raises:
        InputError: the device, the runtime or the table is not there, or ``directory`` holds
            measurements of other settings.
    """
    device, file = config.measuring(), directory / FILE
    if config.table is not None:
        path = user_path(config.table, "latency.table")
        return Latency(device, at, read_latency_table(space, path), file)
    settings = {**dataclasses.asdict(device), "networks": config.networks, "seed": seed}
    kept = _load(file, {**settings, "at": at.as_dict()})
    if "predictor" not in kept:
        _measure(kept, config.networks, space, at, device, seed, file, console)
        _fit(kept, space, at)
        write_json(file, kept)
    for line in _remarks(kept):
        console.print(line, highlight=False, soft_wrap=True)
    predictor = LatencyPredictor(**kept["predictor"])
    return Latency(device, at, predictor, file)


def measure_best(
    latency: Latency,
    space: SearchSpace[Any],
    genotypes: list[str],
    most: float | None,
    console: Console,
) -> None:
    """Measure architectures for real, and write and print predicted beside measured.

    Those that an earlier call measured are not measured again.

    Args:
        latency: what predicted them.
        space: of the genotypes.
        genotypes: the best first.
        most: the upper bound of the search, in ms; None without one.
        console: where the lines go.
    """
    kept = json.loads(read_text(latency.file)) if latency.file.exists() else {}
    measured: dict[str, dict[str, Any]] = kept.setdefault("best", {})
    rows = []
    for rank, text in enumerate(genotypes, 1):
        genotype = space.parse(text)
        if text not in measured:
            measured[text] = dataclasses.asdict(_time(space, genotype, latency.at, latency.device))
            write_json(latency.file, kept)
        predicted = latency.model.milliseconds(space, genotype, latency.at)
        one = Timing(**measured[text])
        rows.append([rank, predicted, one.milliseconds, one.spread, one.outliers, one.runs, text])
        above = most is not None and one.milliseconds > most
        console.print(
            f"latency of number {rank}: predicted {predicted:.3g} ms, measured {_said(one)}"
            + (f"; above constraints.max_latency_ms={most:g}" if above else ""),
            highlight=False,
            soft_wrap=True,
        )
    header = ["rank", "predicted_ms", "measured_ms", "spread", "outliers", "runs", "genotype"]
    write_csv(latency.file.with_name("latency_best.csv"), header, rows)


def _load(file: Path, settings: dict[str, Any]) -> dict[str, Any]:
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


def _measure(
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
        timed = _time(space, genotype, at, device)
        networks.append({"genotype": str(genotype), **dataclasses.asdict(timed)})
        write_json(file, kept)
    again = _time(space, space.parse(networks[0]["genotype"]), at, device)
    kept["drift"] = again.milliseconds / networks[0]["milliseconds"] - 1


def _fit(kept: dict[str, Any], space: SearchSpace[Any], at: At) -> None:
    networks = kept["networks"]
    times = [one["milliseconds"] for one in networks]
    fit = fit_predictor(space, [space.parse(one["genotype"]) for one in networks], times, at)
    for one, predicted in zip(networks, fit.held_out, strict=True):
        one["held_out_prediction"] = predicted
    kept["error"] = relative_error(fit.held_out, times)
    kept["kendall_tau"] = float(kendalltau(fit.held_out, times).statistic)
    kept["predictor"] = fit.predictor.as_dict()


def _remarks(kept: dict[str, Any]) -> list[str]:
    """Return what is to be said of the measurements and the predictor."""
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
    return lines


def _time(space: SearchSpace[Any], genotype: Any, at: At, device: Device) -> Timing:
    with torch.random.fork_rng(devices=[]):
        network = space.build(genotype, at.input_shape, at.num_classes, **at.macro)
    return time_network(network, at.input_shape, device)


def _said(one: Timing) -> str:
    outliers = f", {one.outliers} outliers" if one.outliers else ""
    return f"{one.milliseconds:.3g} ms (spread {one.spread:.1%} of {one.runs} runs{outliers})"
