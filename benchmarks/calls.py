"""Tensor operations that scoring takes, by score and number of candidates: what a GPU launches.

For NAS-Bench-201 networks of one cell a stage and six digits of 8 x 8, on a CPU: the cell of six
3 x 3 convolutions, the smallest of eight random cells, stacks of 16 and of 32 random cells.
Counts, no times: the same on every machine with the same torch.

    python -m benchmarks.calls
"""

from __future__ import annotations

import dataclasses

from benchmarks.common import digits_batch, genotypes, header, say, task
from benchmarks.stacks import calls
from nas_search.scoring.scorer import Scorer
from nas_search.spaces import SPACES

PROXIES = (
    *("gradalign_ii_layerwise", "gradalign", "naswot", "jacob_cov", "meco", "synflow"),
    *("zico", "grasp", "ntk_cond"),
)
FULL = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)


def main() -> None:
    job = task("nasbench201", digits_batch(8, 6), cells=1, channels=4)
    full = SPACES.get("nasbench201").space().parse(FULL)
    chosen = genotypes("nasbench201", 32)
    say(header(images=6, size=8, cells=1, channels=4))
    say(
        "| score | the cell of six 3 x 3 convolutions | a small random one | 16 random cells | 32 |"
    )
    say("|---|---|---|---|---|")
    for proxy in PROXIES:
        scorer = Scorer(dataclasses.replace(job, proxies=(proxy,)), len(chosen))
        counts = [count(scorer, [full]), min(count(scorer, [one]) for one in chosen[:8])]
        counts += [count(scorer, chosen[:16]), count(scorer, chosen)]
        say(f"| `{proxy}` | {' | '.join(f'{number:,}' for number in counts)} |")


def count(scorer: Scorer, some: list[object]) -> int:
    scorer.evaluate(some)  # modules are made
    return calls(lambda: scorer.evaluate(some))


if __name__ == "__main__":
    main()
