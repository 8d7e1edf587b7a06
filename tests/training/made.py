"""Small made-up images that a network can learn, and a fast recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_search.data import DATASETS, ImageData
from nas_search.runs.architecture import Architecture
from nas_search.spaces import SPACES
from nas_search.training.distributed import ProcessGroup
from nas_search.training.images import Images
from nas_search.training.loop import Training
from nas_search.training.recipe import Augmentation, Optimizer, Recipe, Schedule

ALONE = ProcessGroup(0, 1, "cpu")
CELLS = {
    "darts": "DARTS_V2",
    "nasbench201": "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+"
    "|avg_pool_3x3~0|none~1|nor_conv_1x1~2|",
    "nasbench101": "ModelSpec(matrix=[[0,1,1,0],[0,0,1,1],[0,0,0,1],[0,0,0,0]], "
    "ops=['input','conv3x3-bn-relu','maxpool3x3','output'])",
    "nas_bench_macro": "10201021",
    "nats_size": "8:16:8:24:8",
    "transnas_macro": "64-1234-basic",
    "transnas_micro": "64-41414-1_12_013",
}
SIZES = {
    "darts": {"cells": 3, "channels": 2},
    "nasbench201": {"cells": 1, "channels": 2},
    "nasbench101": {"stacks": 3, "modules_per_stack": 1, "channels": 6},
    "nas_bench_macro": {"channels": 2},
    "nats_size": {},
    "transnas_macro": {"channels": 2, "stem_halvings": 0},
    "transnas_micro": {"channels": 2, "stem_halvings": 0},
}


def stripes(folder: Path, n: int = 60, side: int = 8, classes: int = 3) -> Path:
    """Write an .npz of 8-bit images whose brightest channel is the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % classes
    images = rng.integers(0, 120, size=(n, side, side, 3)).astype(np.uint8)
    images[np.arange(n), :, :, labels] += 100
    path = folder / "stripes.npz"
    np.savez(path, x_train=images, y_train=labels)
    return path


def stripes_data(folder: Path, **sizes: int) -> ImageData:
    record = DATASETS.get("npz")
    return record.load(record.options(path=str(stripes(folder, **sizes))))


def architecture(space: str, data: ImageData) -> Architecture:
    genotype = str(SPACES.get(space).space().parse(CELLS[space]))
    return Architecture(space, genotype, data.input_shape, data.num_classes, SIZES[space], {})


def recipe(**changes: Any) -> Recipe:
    made = Recipe(
        name="made",
        epochs=4,
        batch_size=16,
        optimizer=Optimizer(lr=0.05),
        schedule=Schedule(name="cosine"),
        augmentation=Augmentation(crop=1, flip=True),
        validation=0.2,
    )
    return dataclasses.replace(made, **changes)


def training(folder: Path, data: ImageData, how: Recipe, **changes: Any) -> Training:
    rows = torch.arange(len(data.train))
    held = max(int(how.validation * len(rows)), 0)
    folder.mkdir(parents=True, exist_ok=True)
    space = changes.pop("space", "nasbench201")
    made = architecture(space, data)
    torch.manual_seed(changes.get("seed", 0))
    network = changes.pop("network", None) or made.build()
    values = {
        "network": network,
        "recipe": how,
        "train": Images(data.train, rows[held:], "cpu"),
        "validation": Images(data.train, rows[:held], "cpu"),
        "seed": 0,
        "folder": folder,
        "identity": {"recipe": repr(how)},
        "group": ALONE,
        "drop_path": tuple(made.space.droppable(network)),
    }
    return Training(**{**values, **changes})
