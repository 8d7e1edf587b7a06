"""Evaluations per second of a whole search, and what of its time is not scoring.

Runs the command's own search in a temporary folder, in this process, and reads its summary:
proposing, canonical forms, the store and the progress bar are what is left of the search's time.
Starting, reading data and the report at the end are not part of it; the time of the whole call is
given too.

    python -m benchmarks.search_throughput [--evaluations 100] [--device cpu|cuda] [KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from pathlib import Path
from time import perf_counter

import hydra
from rich.console import Console

from benchmarks.common import header, say
from nas_search.commands.command import CONF
from nas_search.commands.run_search import run_search
from nas_search.commands.search_schema import read_config

SMALL = (
    ("search_space=nasbench201", "search_space.cells=1", "search_space.channels=8"),
    ("search_space=darts", "search_space.cells=4", "search_space.channels=8"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("override", nargs="*", default=["dataset.size=16"])
    options = parser.parse_args()
    say(header(**vars(options)))
    say("| search | evaluations/s | outside of scoring | evaluations/s of the whole call |")
    say("|---|---|---|---|")
    for sizes in SMALL:
        wanted = [
            *sizes,
            *options.override,
            f"device={options.device}",
            f"budget.evaluations={options.evaluations}",
            "executor=inline",
        ]
        with hydra.initialize_config_dir(CONF, version_base="1.3"):
            config = read_config(hydra.compose("config", overrides=wanted))
        with tempfile.TemporaryDirectory() as folder:
            start = perf_counter()
            run_search(config, Path(folder), Console(file=io.StringIO()))
            whole = perf_counter() - start
            summary = json.loads((Path(folder) / "summary.json").read_text())
        searched, scoring = summary["search_seconds"], summary["scoring_seconds"]
        done = sum(summary["candidates"].values())
        say(
            f"| {' '.join(sizes)} | {done / searched:.2f} | {100 * (1 - scoring / searched):.1f} % "
            f"| {done / whole:.2f} |"
        )


if __name__ == "__main__":
    main()
