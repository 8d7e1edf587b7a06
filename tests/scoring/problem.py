"""Small scoring tasks, and parts of them that fail on purpose; importable by spawned workers."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas_search.proxies import Measurement
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.scoring import ScoringTask
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.nasbench201 import Nasbench201Genotype, Nasbench201Space

SIZES: dict[str, dict[str, Any]] = {
    "conv1d": {"stem": 8, "multiplier": 0.2},
    "darts": {"cells": 3, "channels": 4},
    "mobilenet": {"stem": 8, "head": 16, "multiplier": 0.2},
    "module": {},
    "nasbench101": {"modules_per_stack": 1, "channels": 8},
    "nasbench201": {"cells": 1, "channels": 4},
    "nas_bench_macro": {"channels": 2},
    "nats_size": {},
    "nds_cells": {"width_factor": 0.125, "depth_factor": 0.2},
    "nds_residual": {"width_factor": 0.125, "depth_factor": 0.2},
    "transnas_macro": {"channels": 4, "stem_halvings": 0, "last_relu": True},
    "transnas_micro": {"channels": 4, "stem_halvings": 0, "last_relu": True},
}
DEADLY = "|nor_conv_1x1~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|none~0|none~1|nor_conv_1x1~2|"


class DeadlySpace(Nasbench201Space):
    """NAS-Bench-201 with one cell that takes the whole process with it."""

    def build(
        self,
        genotype: Nasbench201Genotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        if str(genotype) == DEADLY:
            os._exit(1)
        return super().build(genotype, input_shape, num_classes, **macro)


@dataclass(frozen=True)
class OddSpace(Nasbench201Space):
    """NAS-Bench-201 with one cell whose scoring does something odd; picklable.

    Attributes:
        odd: ``hang``, ``exit`` (with code 0), ``sys.exit``, or ``die``: kills its process, as often
            as there are lives in ``lives``, a file.
        lives: that file.
    """

    odd: str = "hang"
    lives: str = ""

    def build(self, genotype: Any, *arguments: Any, **macro: Any) -> nn.Module:
        if str(genotype) == DEADLY:
            self._be_odd()
        return Nasbench201Space.build(self, genotype, *arguments, **macro)

    def _be_odd(self) -> None:
        if self.odd == "hang":
            while True:
                time.sleep(1)
        if self.odd == "exit":
            os._exit(0)
        if self.odd == "sys.exit":
            sys.exit(0)
        left = Path(self.lives).read_text()
        if left:
            Path(self.lives).write_text(left[1:])
            os.kill(os.getpid(), signal.SIGKILL)


def _user_score(measurement: Measurement) -> float:
    return float(len(measurement.layers))


USER_PROXY = ProxyRecord("user_score", _user_score, "sample", "ours", "this file", "layers")


def register_user_proxy() -> None:
    """Do what importing a plugin does; this module itself does it on import in a worker."""
    PROXIES.add(USER_PROXY)


def task(space: Any = None, **changes: Any) -> ScoringTask:
    """Return a task of six 8 x 8 images of three classes."""
    space = space or Nasbench201Space()
    generator = torch.Generator().manual_seed(0)
    fields: dict[str, Any] = {
        "space": space,
        "macro": SIZES[space.name],
        "images": torch.randn(6, 3, 8, 8, generator=generator),
        "labels": torch.tensor([0, 1, 2, 0, 1, 2]),
        "num_classes": 3,
        "proxies": ("gradalign", "gradalign_ii"),
    }
    return ScoringTask(**{**fields, **changes})


def full_darts() -> DartsSpace:
    """Return DARTS with all eight operations."""
    from nas_search.spaces.darts.genotype import OPERATIONS

    return DartsSpace(OPERATIONS)
