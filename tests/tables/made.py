"""Small tables for tests, in the exact layouts of the real ones."""

from __future__ import annotations

import base64
import csv
import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.spaces import SPACES
from nas_search.tables import BENCHMARKS, Table

SPACE = SPACES.get("nasbench201").space()
HEADER = ["idx", "arch_str", "v11_c10valid_val_200", "c10_test_200", "c100_test_200"]


def cells(count: int, seed: int = 0) -> list[Any]:
    """Return ``count`` different cells, one per network."""
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    while len(found) < count:
        cell = SPACE.sample(rng)
        found.setdefault(SPACE.canonical(cell), cell)
    return list(found.values())


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def nasbench201(path: Path, count: int = 30) -> Path:
    """Write a table of NAS-Bench-201 whose last cell is the best."""
    rows = [[i, str(cell), 50 + i, 55 + i, 20 + i] for i, cell in enumerate(cells(count))]
    return write_csv(path, HEADER, rows)


def read(name: str, space: Any = SPACE, **options: Any) -> Table:
    record = BENCHMARKS.get(name)
    return record.read(space, record.options(**options))


def varint(number: int) -> bytes:
    done = b""
    while number > 0x7F:
        done += bytes([number & 0x7F | 0x80])
        number >>= 7
    return done + bytes([number])


def message(fields: Sequence[tuple[int, Any]]) -> bytes:
    """Write a protocol buffers message of varints, doubles and bytes."""
    done = b""
    for number, value in fields:
        if isinstance(value, float):
            done += varint(number << 3 | 1) + struct.pack("<d", value)
        elif isinstance(value, int):
            done += varint(number << 3) + varint(value)
        else:
            done += varint(number << 3 | 2) + varint(len(value)) + value
    return done


def tfrecord(path: Path, rows: Iterable[tuple[str, str, int, float, float]]) -> Path:
    """Write (matrix, operations, epochs, validation, test) as the official file does."""
    with path.open("wb") as file:
        for matrix, operations, epochs, validation, test in rows:
            evaluations = [
                message([(1, epoch), (2, 9.5), (3, 0.99), (4, v), (5, t), (6, b"checkpoint")])
                for epoch, v, t in (
                    (0.0, 0.1, 0.1),
                    (epochs / 2, 0.5, 0.5),
                    (float(epochs), validation, test),
                )
            ]
            metrics = message([*((1, e) for e in evaluations), (2, 2694282), (3, 7057.5)])
            text = base64.b64encode(metrics).decode()
            data = json.dumps(["hash", epochs, matrix, operations, text]).encode()
            file.write(struct.pack("<Q", len(data)) + b"csum" + data + b"csum")
    return path


def nats(accuracies: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Return the dictionary that NATS-Bench pickles, for cells and their base accuracies.

    Two seeds of 200 epochs on each data set and one of 12 on ``cifar10-valid``: the accuracy of a
    split is the base, plus 1 for the second seed, plus 10 for a test split, less 30 at 12 epochs.
    """
    splits = {
        "cifar10-valid": ("x-valid", "ori-test"),
        "cifar10": ("ori-test",),
        "cifar100": ("x-valid", "x-test", "ori-test"),
        "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
    }
    infos: dict[int, Any] = {}
    for index, (_, base) in enumerate(accuracies):
        infos[index] = {}
        for epochs, seeds in ((12, (777,)), (200, (777, 888))):
            names = ["cifar10-valid"] if epochs == 12 else list(splits)
            infos[index][str(epochs)] = {
                "arch_index": index,
                "dataset_seed": {name: list(seeds) for name in names},
                "all_results": {
                    (name, seed): {
                        "epochs": epochs,
                        "net_state_dict": None,
                        "eval_acc1es": {
                            f"{split}@{epoch}": base
                            + (seed == 888)
                            + 10 * split.endswith("test")
                            - 30 * (epochs == 12)
                            - (epochs - 1 - epoch)
                            for split in splits[name]
                            for epoch in (0, epochs - 1)
                        },
                    }
                    for name in names
                    for seed in seeds
                },
            }
    return {
        "meta_archs": [text for text, _ in accuracies],
        "arch2infos": infos,
        "evaluated_indexes": set(infos),
    }
