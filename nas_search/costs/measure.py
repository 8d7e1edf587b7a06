"""How long a network takes on this machine: warmed up, many times, with the spread and outliers."""

from __future__ import annotations

import importlib.util
import io
import statistics
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.core.installed import how_to_install

Runtime = Literal["torch", "onnx"]
LatencyPrecision = Literal["fp32", "bf16"]

WARM_UP = 5
"""Runs before the first that is timed, at the least."""

WARM_UP_SECONDS = 0.1
"""Seconds of such runs at the least: clocks rise, caches and thread pools fill."""

OUTLIER = 3.0
"""Interquartile ranges above the upper quartile from which a run is an outlier (Tukey: far out)."""


@dataclass(frozen=True)
class Device:
    """Where and how networks run.

    Attributes:
        device: torch device: ``cpu``, ``cuda``, ``cuda:1``, ...
        threads: CPU threads of one run.
        batch: images of one run.
        precision: ``fp32``; ``bf16`` is torch's autocast.
        runtime: ``torch``, or ``onnx`` for ONNX Runtime on the CPU.
        repeats: timed runs of a network, 3 or more.
    """

    device: str = "cpu"
    threads: int = 1
    batch: int = 1
    precision: LatencyPrecision = "fp32"
    runtime: Runtime = "torch"
    repeats: int = 30

    def __post_init__(self) -> None:
        for name, least in (("threads", 1), ("batch", 1), ("repeats", 3)):
            if getattr(self, name) < least:
                raise InputError(f"latency.{name}={getattr(self, name)} must be {least} or more")
        if self.runtime == "onnx":
            if self.device != "cpu" or self.precision != "fp32":
                raise InputError(
                    "latency.runtime=onnx measures on the CPU in fp32: set latency.device=cpu "
                    "latency.precision=fp32"
                )
            missing = [p for p in ("onnx", "onnxscript", "onnxruntime") if not _installed(p)]
            if missing:
                needed = ", ".join(missing)
                raise InputError(f"latency.runtime=onnx needs {needed}: {how_to_install('onnx')}")


@dataclass(frozen=True)
class Timing:
    """What the runs of a network took.

    Attributes:
        milliseconds: median over runs, of a whole batch.
        spread: interquartile range over the median.
        outliers: runs that took far longer than the others, see :data:`OUTLIER`.
        runs: number of timed runs.
    """

    milliseconds: float
    spread: float
    outliers: int
    runs: int


def time_network(network: nn.Module, input_shape: tuple[int, int, int], device: Device) -> Timing:
    """Return what one run of ``network`` in eval mode takes.

    Raises:
        InputError: ONNX Runtime cannot run it.
    """
    images = torch.zeros(device.batch, *input_shape)
    with _threads(device.threads):
        run = _onnx_run(network, images, device) if device.runtime == "onnx" else None
        return timing(_timed(run or _torch_run(network, images, device), device.repeats))


def timing(seconds: list[float]) -> Timing:
    """Return the statistics of runs that took ``seconds`` each."""
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    far = high + OUTLIER * (high - low)
    outliers = sum(one > float(far) for one in seconds)
    return Timing(1e3 * float(middle), float((high - low) / middle), outliers, len(seconds))


def _timed(run: Callable[[], object], repeats: int) -> list[float]:
    start, done = perf_counter(), 0
    while done < WARM_UP or perf_counter() - start < WARM_UP_SECONDS:
        run()
        done += 1
    seconds = []
    for _ in range(repeats):
        start = perf_counter()
        run()
        seconds.append(perf_counter() - start)
    return seconds


def _torch_run(network: nn.Module, images: Tensor, device: Device) -> Callable[[], object]:
    network, images = network.eval().to(device.device), images.to(device.device)
    on_gpu = images.device.type == "cuda"

    def run() -> None:
        casting = (
            torch.autocast(images.device.type, dtype=torch.bfloat16)
            if device.precision == "bf16"
            else nullcontext()
        )
        with torch.inference_mode(), casting:
            network(images)
        if on_gpu:  # its work is only queued when the call returns
            torch.cuda.synchronize(images.device)

    return run


def _onnx_run(network: nn.Module, images: Tensor, device: Device) -> Callable[[], object]:
    import onnxruntime

    file = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            # This exporter takes seconds for a DARTS network, that of torch.export minutes.
            torch.onnx.export(
                network.eval(), (images,), cast(Any, file), dynamo=False, input_names=["images"]
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = device.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            file.getvalue(), options, providers=["CPUExecutionProvider"]
        )
        # A network of dead cells has an output that does not depend on its input, and no input.
        names = {one.name for one in session.get_inputs()}
        feed = {"images": images.numpy()} if "images" in names else {}
        session.run(None, feed)
    except Exception as error:  # the exporter and the runtime raise a dozen types
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"latency.runtime=onnx cannot run this network: {line}") from None
    return lambda: session.run(None, feed)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def relative_error(predicted: list[float], measured: list[float]) -> float:
    """Return the mean of |predicted - measured| / measured."""
    pairs = zip(predicted, measured, strict=True)
    return statistics.fmean(abs(p - m) / m for p, m in pairs)
