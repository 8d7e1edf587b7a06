"""The group ``latency``: networks measured before a search, and the predictor of the others."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from nas_search.commands.measured import clear_disk_errors, fit, load, measure, remarks
from nas_search.commands.reading import read_as
from nas_search.core.device import resolve_device
from nas_search.core.errors import InputError
from nas_search.core.files import user_path, write_json
from nas_search.costs import At
from nas_search.costs.measure import Device, LatencyPrecision, Runtime
from nas_search.costs.predictor import FOLDS, LatencyPredictor, LatencyTable, read_latency_table
from nas_search.report import prediction_scatter
from nas_search.runs.measured import FILE
from nas_search.spaces import SearchSpace


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
        best: how many of the best architectures are measured after the search; one that breaks a
            bound is dropped for the next best.
        table: CSV file with the columns genotype and latency, in place of all measuring.
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
    bounds: Mapping[str, float] | None = None,
) -> Latency:
    """Return what tells latencies: a table, or a predictor of networks that are measured now.

    What was measured is kept in ``directory``, network by network, and the fitted predictor too, so
    that a run that is continued sees the latencies that it saw before. What ``bounds``, by key, of
    the search leave out is said.

    Raises:
        InputError: the device, the runtime or the table is not there, or ``directory`` holds
            measurements of other settings.
    """
    device, file = config.measuring(), directory / FILE
    if config.table is not None:
        path = user_path(config.table, "latency.table")
        return Latency(device, at, read_latency_table(space, path), file)
    with clear_disk_errors(file):
        predictor = _predictor(config, space, at, device, seed, file, console, bounds or {})
    return Latency(device, at, predictor, file)


def _predictor(
    config: LatencyConfig,
    space: SearchSpace[Any],
    at: At,
    device: Device,
    seed: int,
    file: Path,
    console: Console,
    bounds: Mapping[str, float],
) -> LatencyPredictor:
    """Return the predictor that ``file`` holds, or measure what is missing and fit it."""
    settings = {**dataclasses.asdict(device), "networks": config.networks, "seed": seed}
    kept = load(file, {**settings, "at": at.as_dict()})
    if "predictor" not in kept:
        measure(kept, config.networks, space, at, device, seed, file, console)
        fit(kept, space, at)
        write_json(file, kept)
    networks = kept["networks"]
    prediction_scatter(
        [one["held_out_prediction"] for one in networks],
        [one["milliseconds"] for one in networks],
        file.with_name("latency.png"),
        "ms",
    )
    for line in remarks(kept, bounds):
        console.print(line, highlight=False, soft_wrap=True)
    return LatencyPredictor(**kept["predictor"])
