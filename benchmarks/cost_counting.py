"""Speed of counting: ``python -m benchmarks.cost_counting`` prints the table of docs/limits.md.

Per space and cost: milliseconds per random architecture, the first one aside, beside building the
network on the meta device, which is what counting without parts would take at least.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
import torch

from benchmarks.proposals import SIZES
from nas_search.costs import COSTS, At
from nas_search.spaces import SPACES

COUNTED = ("params", "macs", "activations", "flash", "peak_memory")
ARCHITECTURES, WARM = 100, 100


def main() -> None:
    """Measure and print one row per space."""
    print(f"| space | {' | '.join(COUNTED)} | building |")
    print(f"|---|{'---|' * (len(COUNTED) + 1)}")
    for name, macro in SIZES.items():
        space, at = SPACES.get(name).space(), At((3, 32, 32), 10, macro)
        rng = np.random.default_rng(0)
        genotypes = [space.sample(rng) for _ in range(WARM + ARCHITECTURES)]
        cells = []
        for cost in COUNTED:
            count = COSTS.get(cost).cost
            for one in genotypes[:WARM]:  # parts that many architectures share are counted once
                count(space, one, at)
            start = perf_counter()
            for one in genotypes[WARM:]:
                count(space, one, at)
            cells.append(f"{1e3 * (perf_counter() - start) / ARCHITECTURES:.2g}")
        start = perf_counter()
        for one in genotypes[:3]:
            with torch.device("meta"):
                space.build(one, at.input_shape, at.num_classes, **macro)
        cells.append(f"{1e3 * (perf_counter() - start) / 3:.2g}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
