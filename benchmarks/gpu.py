"""All that a GPU is judged by, in one command: rightness, speed, launches, search, training.

Sections run one after another. What a section found is kept in ``--out``; the command, when it is
repeated, goes on with the next one, and prints all of it in the end. It is made for four minutes of
one GPU. Nothing is downloaded: images are scikit-learn's digits, enlarged, and random pixels; it
needs torch, numpy, scipy, scikit-learn, deap, hydra-core and omegaconf alone. Without a GPU the
same is run in small.

right      the largest relative difference of each score to the CPU's value, in three spaces
kernels    ms of each kernel by shape, what the library does and what is chosen here, and errors
scoring    ms per network of the default score by the size K of the stack, and the floor: four times
           the bytes that backward needs, over the speed at which this device copies
launches   tensor operations of one stack, kernels, and the share of the time the device is busy
search     evaluations per second of regularized evolution, by children asked for at once
training   seconds of one epoch of DARTS_V2, with the floor of its kept bytes

    python -m benchmarks.gpu [--out outputs/gpu.json] [--section scoring] [--device cuda|cpu]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor

from benchmarks import gpu_kernels
from benchmarks.common import genotypes, header, say, task
from benchmarks.counting import MACRO, Launches
from nas_search.core.device import set_precision
from nas_search.core.memory import is_out_of_memory
from nas_search.proxies import PROXIES
from nas_search.runs.architecture import Architecture
from nas_search.scoring import ScoringTask
from nas_search.scoring.memory import bytes_of_one
from nas_search.scoring.scorer import Scorer, stacks
from nas_search.search import run_loop
from nas_search.search.budget import Budget
from nas_search.search.regularized_evolution import (
    RegularizedEvolution,
    RegularizedEvolutionOptions,
)
from nas_search.training.graph import WARM_UP, GraphedStep

PASSES = 4
"""Times that each kept number moves at least: it and its error are written once and read once."""

Table = list[list[str]]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        device: torch device.
        macro: sizes of the networks by space.
        size: side of the images.
        samples: numbers n of images.
        stacks: sizes K of stacks.
        cells: cells of each space whose scores are compared.
        evaluations: of a search.
        children: asked for at once, by search.
        images: of a training epoch.
        batch: images per step.
        depths: cells of the networks that are trained.
        seconds: after which a section begins nothing new.
        each: seconds for which one thing is repeated, to time it.
    """

    device: str
    macro: dict[str, dict[str, int]]
    size: int
    samples: tuple[int, ...]
    stacks: tuple[int, ...]
    cells: dict[str, int]
    evaluations: int
    children: tuple[int, ...]
    images: int
    batch: int
    depths: tuple[int, ...]
    seconds: float
    each: float


def sizes(device: str) -> Sizes:
    """Return what is measured on ``device``: on a CPU the same in small."""
    if device == "cpu":
        macro = {
            "nasbench201": {"cells": 1, "channels": 4},
            "darts": {"cells": 3, "channels": 4},
            "nasbench101": {"modules_per_stack": 1, "channels": 8},
        }
        cells = dict.fromkeys(macro, 2)
        return Sizes(device, macro, 8, (6,), (1, 4), cells, 12, (1, 4), 64, 32, (3,), 60, 0.2)
    cells = {"nasbench201": 12, "darts": 6, "nasbench101": 6}
    ks = (1, 8, 32, 64, 128)
    return Sizes(device, MACRO, 32, (32, 64), ks, cells, 1000, (8, 64), 50_000, 256, (8, 20), 60, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu.json"))
    parser.add_argument("--section", choices=SECTIONS, action="append")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(1 if options.device == "cpu" else torch.get_num_threads())
    set_precision("fp32")
    how = sizes(options.device)
    done: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    key = f"{header()} {options.device}"
    if done.get("of") != key:  # another machine, device or torch
        done = {"of": key}
    for name in options.section or SECTIONS:
        if name not in done:
            begun = perf_counter()
            table = SECTIONS[name](how)
            done[name] = {"table": table, "seconds": round(perf_counter() - begun, 1)}
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(done, indent=1))
    say(header(device=options.device))
    for name in SECTIONS:
        if name in done:
            say(f"{name}, {done[name]['seconds']} s\n")
            for number, row in enumerate(done[name]["table"]):
                say(f"| {' | '.join(row)} |")
                if not number:
                    say("|---" * len(row) + "|")
            say("")


def synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def timed(run: Callable[[], object], how: Sizes, share: float = 1) -> float:
    """Return the seconds of one call: the best of as many as fit in a share of the time, or one."""
    best, begun = math.inf, perf_counter()
    while best == math.inf or perf_counter() - begun < share * how.each:
        synchronize(how.device)
        start = perf_counter()
        run()
        synchronize(how.device)
        best = min(best, perf_counter() - start)
    return best


def images_of(size: int, n: int) -> tuple[Tensor, Tensor, int]:
    """Return n digits in three channels of ``size`` x ``size``, their labels, and the classes."""
    data, target = load_digits(return_X_y=True)
    images = torch.tensor(data[:n], dtype=torch.float32).view(-1, 1, 8, 8)
    images = (images - images.mean()) / images.std()
    larger = F.interpolate(images, (size, size), mode="bilinear")
    return larger.repeat(1, 3, 1, 1), torch.tensor(target[:n]), 10


def job_of(space: str, n: int, how: Sizes, device: str | None = None) -> ScoringTask:
    """Return the default score's task on the device."""
    job = task(space, images_of(how.size, n), **how.macro[space])
    return dataclasses.replace(job, device=device or how.device).to_device()


def bandwidth(how: Sizes) -> float:
    """Return the bytes per second that a copy on the device reads and writes."""
    numbers = torch.empty(2**20 if how.device == "cpu" else 2**28, device=how.device)
    other = torch.empty_like(numbers)
    return 2 * 4 * len(numbers) / timed(lambda: other.copy_(numbers), how, 0.25)


def right(how: Sizes) -> Table:
    """Compare all scores on the device with those on the CPU."""
    names = tuple(record.name for record in PROXIES)
    rows: dict[str, list[str]] = {name: [name] for name in names}
    small = sizes("cpu")
    alone = ["gradalign, by itself"]  # then stacks run level by level
    for space, count in how.cells.items():
        chosen = genotypes(space, count)

        def found(
            wanted: tuple[str, ...], space: str = space, chosen: list[Any] = chosen
        ) -> list[tuple[Any, Any]]:
            by_device = []
            for device, size in ((how.device, len(chosen)), ("cpu", 1)):
                job = dataclasses.replace(job_of(space, 6, small, device), proxies=wanted)
                by_device.append(Scorer(job, size).evaluate(chosen))
            return list(zip(*by_device, strict=True))

        together = found(names)
        for name in names:
            rows[name].append(_difference(name, together))
        alone.append(_difference("gradalign", found(("gradalign",))))
    return [["score", *how.cells], *rows.values(), alone]


def _difference(name: str, evaluations: list[tuple[Any, Any]]) -> str:
    """Return the largest relative difference of a score, and how many lack it on the device."""
    pairs = [(here.scores.get(name), there.scores.get(name)) for here, there in evaluations]
    lost = sum(here is None and there is not None for here, there in pairs)
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    worst = max((abs(a - b) / max(abs(b), 1e-12) for a, b in both), default=math.nan)
    return f"{worst:.0e}" + (f", {lost} lost" if lost else "")


def kernels(how: Sizes) -> Table:
    """Time the engine's own kernels beside what the library does, by shape."""
    return gpu_kernels.table(how.device, how.device == "cpu", partial(timed, how=how, share=0.15))


def scoring(how: Sizes) -> Table:
    """Time the default score by the size of the stack."""
    speed, begun = bandwidth(how), perf_counter()
    table: Table = [["space", "n", *(f"K = {k}" for k in how.stacks), "floor"]]
    for space in ("nasbench201", "darts"):
        for n in how.samples:
            job = job_of(space, n, how)
            row = [space, str(n)]
            for k in how.stacks:
                if perf_counter() - begun > how.seconds:
                    row.append("no time")
                    continue
                row.append(milliseconds(job, space, k, how))
            floor = PASSES * bytes_of_one(job) / speed
            table.append([*row, f"{1000 * floor:.2f}"])
    return table


def milliseconds(job: ScoringTask, space: str, k: int, how: Sizes) -> str:
    """Return the ms per network in stacks of ``k``; of eight networks at least."""
    scorer, chosen = Scorer(job, k), genotypes(space, max(k, 8))

    def run() -> None:
        for own in stacks(len(chosen), k):
            scorer.evaluate(chosen[own.start : own.stop])

    run()  # modules are made
    value = f"{1000 * timed(run, how) / len(chosen):.2f}"
    return value if scorer.most == k else f"{value} (halved to {scorer.most})"


def launches(how: Sizes) -> Table:
    """Count what one stack launches, and how busy the device is."""
    k = how.stacks[-1] if how.device == "cpu" else 64
    table: Table = [["space", "n", "K", "calls", "that compute", "kernels", "device busy"]]
    for space in ("nasbench201", "darts"):
        job, chosen = job_of(space, how.samples[0], how), genotypes(space, k)
        scorer = Scorer(job, k)
        scorer.evaluate(chosen)
        counted = Launches()  # type: ignore[no-untyped-call]  # TorchDispatchMode.__init__
        with counted:
            scorer.evaluate(chosen)
        row = [space, str(how.samples[0]), str(k), f"{counted.count:,}", f"{counted.launches:,}"]
        table.append([*row, *busy(partial(scorer.evaluate, chosen), how)])
    return table


def busy(run: Callable[[], object], how: Sizes) -> list[str]:
    """Return the number of kernels, and the share of the wall time in which one runs."""
    if how.device == "cpu":
        return ["-", "-"]
    wall = timed(run, how)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        run()
        synchronize(how.device)
    events = [e for e in profile.events() or [] if "CUDA" in str(e.device_type)]
    on_device = sum(event.device_time_total for event in events) / 1e6
    return [f"{len(events):,}", f"{100 * min(1.0, on_device / wall):.0f} %"]


class NoRecord:
    """Keeps nothing."""

    def append(self, evaluation: object, elapsed: float) -> None:
        """Keep nothing."""


def search(how: Sizes) -> Table:
    """Search darts by the default score; what the commands do beside it is left out."""
    table: Table = [["children at once", "evaluations", "seconds", "evaluations/s"]]
    for children in how.children:
        job = job_of("darts", how.samples[0], how)
        scorer = Scorer(job, max(how.stacks))
        population = min(100, how.evaluations // 2)
        algorithm = RegularizedEvolution(
            job.space,
            np.random.default_rng(0),
            "gradalign",
            RegularizedEvolutionOptions(population, max(1, population // 4)),
        )

        def evaluate(
            asked: Any, start: int, stop: int, scorer: Scorer = scorer, job: ScoringTask = job
        ) -> Any:
            return scorer.evaluate(asked[start:stop])

        outcome = run_loop(
            algorithm,
            evaluate,
            Budget(how.evaluations, how.seconds / 60 / len(how.children)),
            NoRecord(),
            batch=children,
            ahead=max(how.stacks),
        )
        done = len(outcome.evaluations)
        row = [str(children), str(done), f"{outcome.seconds:.1f}", f"{done / outcome.seconds:.1f}"]
        table.append(row)
    return table


def training(how: Sizes) -> Table:
    """Time an epoch of DARTS_V2 from a few of its steps: forward, backward, clipping, SGD.

    Recorded as a graph, too, as the recipes do on a GPU.
    """
    speed = bandwidth(how)
    table: Table = [["cells", "form", "ms per step", "s per epoch", "floor, s per epoch"]]
    forms: list[tuple[str, torch.dtype | None, bool, bool]] = [
        ("fp32", None, False, False),
        ("fp32, graph", None, False, True),
        ("fp32, channels-last, graph", None, True, True),
        ("bf16, channels-last", torch.bfloat16, True, False),
        ("bf16, channels-last, graph", torch.bfloat16, True, True),
    ]
    if how.device == "cpu":  # which records nothing
        forms = [form for form in forms if not form[-1]]
    steps = how.images / how.batch
    for cells in how.depths:
        macro = {"cells": cells, "channels": 4 if how.device == "cpu" else 16}
        shape = (3, how.size, how.size)
        for form, dtype, last, graphed in forms:
            torch.manual_seed(0)
            network = Architecture("darts", "DARTS_V2", shape, 10, macro, {}).build()
            said: list[str] = []
            network = network.to(how.device)
            step, kept = training_step(network, shape, how, dtype, last, said if graphed else None)
            seconds = timed(step, how)
            floor = PASSES * kept * steps / speed
            table.append(
                [
                    str(cells),
                    "; ".join([form, *said]),
                    f"{1000 * seconds:.1f}",
                    f"{seconds * steps:.1f}",
                    f"{floor:.2f}",
                ]
            )
    return table


def training_step(
    network: torch.nn.Module,
    shape: tuple[int, int, int],
    how: Sizes,
    dtype: torch.dtype | None,
    last: bool,
    said: list[str] | None,
) -> tuple[Callable[[], None], int]:
    """Return one step of training on random pixels, and the bytes that its forward pass keeps.

    With a graph if there is a list ``said``, to which is added why there is none.
    """
    images = torch.randn(how.batch, *shape, device=how.device)
    labels = torch.randint(10, (how.batch,), device=how.device)
    if last:
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.025, 0.9, weight_decay=3e-4)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def loss() -> Tensor:
        with torch.autocast(how.device.split(":")[0], dtype, enabled=dtype is not None):
            return F.cross_entropy(network(images), labels)

    def gradients(*_: Tensor) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5)
        return torch.zeros(3, dtype=torch.float64, device=how.device)

    work: Callable[..., Tensor] = gradients
    if said is not None:
        work = GraphedStep(gradients, list(network.parameters()), said.append)

    def step() -> None:
        work(images, labels)
        optimizer.step()

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss()
    for _ in range(2 if said is None else WARM_UP + 2):
        step()
    return step, sum(kept.values())


def guarded(section: Callable[[Sizes], Table]) -> Callable[[Sizes], Table]:
    """Let a section that needs more memory than there is say so instead of ending the command."""

    def run(how: Sizes) -> Table:
        try:
            return section(how)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return [["out of memory"]]

    return run


SECTIONS: dict[str, Callable[[Sizes], Table]] = {
    section.__name__: guarded(section)
    for section in (right, kernels, scoring, launches, search, training)
}


if __name__ == "__main__":
    main()
