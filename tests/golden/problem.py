"""The architectures and settings whose scores are pinned in ``scores.json``.

``python -m tests.golden.problem`` pins them anew.

The file of scores was made by the code before its engine was rebuilt. Pin anew only where a score's
definition changes on purpose, and say so in the changelog.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nas_search.proxies import PROXIES
from nas_search.scoring import ScoringTask
from nas_search.scoring.scorer import Scorer
from nas_search.spaces.nasbench101 import Nasbench101Space
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.scoring.problem import full_darts, task

FILE = Path(__file__).parent / "scores.json"

SPACES: dict[str, Any] = {
    "darts": full_darts(),
    "nasbench101": Nasbench101Space(),
    "nasbench201": Nasbench201Space(),
}

SETTINGS: dict[str, dict[str, Any]] = {
    "own": {},
    "frozen_all": {"normalization": "frozen", "parameters": "all"},
    "batch": {"normalization": "batch"},
}
"""Changes to the task: each score's own definition, and two that all scores share."""

SCORES = tuple(record.name for record in PROXIES)


def problem(space: str, setting: str) -> ScoringTask:
    """Return the task of one setting in float64; torch's default type must be float64 too."""
    changes = {"proxies": SCORES, "repeats": 2 if setting == "own" else 1, **SETTINGS[setting]}
    made = task(SPACES[space], **changes)
    return replace(made, images=made.images.double())


def evaluate(space: str, setting: str, texts: list[str], stack: int) -> list[dict[str, Any]]:
    """Return what is pinned of each genotype, ``stack`` at a time; 0: as ordinary networks."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        made = problem(space, setting)
        genotypes = [SPACES[space].parse(text) for text in texts]
        if stack:
            evaluations = Scorer(made, stack).evaluate(genotypes)
        else:
            evaluations = [made.evaluate(genotype) for genotype in genotypes]
    finally:
        torch.set_default_dtype(before)
    return [
        {
            "genotype": e.genotype,
            "status": e.status,
            "reason": e.reason,
            "params": e.params,
            "macs": e.macs,
            "scores": e.scores,
        }
        for e in evaluations
    ]


def architectures(space: str) -> list[str]:
    """Return the genotypes that are pinned: named ones, odd ones, random ones."""
    import numpy as np

    own = SPACES[space]
    rng = np.random.default_rng(20)
    texts = {
        "darts": ["DARTS_V2", "DARTS_V1"],
        "nasbench101": [],
        "nasbench201": [
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
            "+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_1x1~0|none~1|none~2|",
            "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
            "|skip_connect~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|",
        ],
    }[space]
    found = [own.parse(text) for text in texts]
    found += [own.sample(rng) for _ in range(8 - len(found))]
    return [str(genotype) for genotype in found]


def main() -> None:
    """Write the file of scores."""
    pinned = {
        space: {setting: evaluate(space, setting, architectures(space), 0) for setting in SETTINGS}
        for space in SPACES
    }
    FILE.write_text(json.dumps(pinned, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
