"""Error of the latency predictor: ``python -m benchmarks.latency_error`` (docs/limits.md).

Per space: random networks are timed, and predicted from counts of operations fitted on the others;
beside it a line through MACs. ``--processor`` times by the processor's clock instead of the wall's:
on a busy machine that is nearer to what an idle one would show.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from scipy.stats import kendalltau
from sklearn.linear_model import LinearRegression

from nas_search.costs import COSTS, At, measure
from nas_search.costs.measure import Device, relative_error, time_network
from nas_search.costs.predictor import FOLDS, fit_predictor
from nas_search.spaces import SPACES

SIZES: dict[str, dict[str, Any]] = {
    "nasbench201": {"cells": 5, "channels": 16},
    "nasbench101": {"channels": 32},
    "darts": {"cells": 8, "channels": 16},
}
NETWORKS = 40


def main() -> None:
    """Measure and print one row per space."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--processor", action="store_true", help="time of the processor, not of the clock"
    )
    if parser.parse_args().processor:
        measure.perf_counter = time.process_time  # type: ignore[attr-defined]
    print("| space | ms | median spread | error | Kendall tau | error by MACs | tau by MACs |")
    print("|---|---|---|---|---|---|---|")
    for name, macro in SIZES.items():
        space, at = SPACES.get(name).space(), At((3, 32, 32), 10, macro)
        rng = np.random.default_rng(0)
        genotypes = [space.sample(rng) for _ in range(NETWORKS)]
        found = [
            time_network(space.build(one, at.input_shape, 10, **macro), at.input_shape, Device())
            for one in genotypes
        ]
        times = [one.milliseconds for one in found]
        fit = fit_predictor(space, genotypes, times, at)
        macs = np.array([[COSTS.get("macs").cost(space, one, at)] for one in genotypes])
        line = _held_out_line(macs, np.array(times))
        spread = np.median([one.spread for one in found])
        print(
            f"| {name} | {min(times):.3g} to {max(times):.3g} | {spread:.0%} "
            f"| {relative_error(fit.held_out, times):.1%} "
            f"| {kendalltau(fit.held_out, times).statistic:.2f} "
            f"| {relative_error(line, times):.1%} | {kendalltau(line, times).statistic:.2f} |",
            flush=True,
        )


def _held_out_line(features: Any, times: Any) -> list[float]:
    held_out = np.empty(len(times))
    for fold in range(FOLDS):
        test = np.arange(len(times)) % FOLDS == fold
        held_out[test] = (
            LinearRegression().fit(features[~test], times[~test]).predict(features[test])
        )
    return [float(one) for one in held_out]


if __name__ == "__main__":
    main()
