"""Reads back what TensorBoard and Weights & Biases were told, from their own files."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, HEADER = 32768, 7


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return (step, value) of every scalar by tag, as TensorBoard's own accumulator reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def hyperparameters(folder: Path) -> list[dict[str, Any]]:
    """Return the hyperparameters of each session that event files begin."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    sessions = []
    for file in sorted(folder.glob("events.*")):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.tag.endswith("session_start_info"):
                    content = value.metadata.plugin_data.content
                    given = HParamsPluginData.FromString(content).session_start_info.hparams
                    sessions.append(
                        {key: one.string_value or one.number_value for key, one in given.items()}
                    )
    return sessions


def records(folder: Path) -> Iterator[Any]:
    """Yield the records of all offline runs in a folder of W&B's, in the order of their files.

    A file has the form of LevelDB's logs: blocks of 32 KiB, in them pieces of records, each
    after (checksum, length, which piece).
    """
    from wandb.proto import wandb_internal_pb2

    for file in sorted(folder.glob("offline-run-*/run-*.wandb")):
        data, at, whole = file.read_bytes(), HEADER, b""
        while at + HEADER <= len(data):
            if BLOCK - at % BLOCK < HEADER:
                at += BLOCK - at % BLOCK
                continue
            _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
            whole += data[at + HEADER : at + HEADER + length]
            at += HEADER + length
            if kind in (1, 4):  # the only piece, or the last one
                record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
                record.ParseFromString(whole)
                whole = b""
                yield record


def history(folder: Path) -> list[dict[str, Any]]:
    """Return the rows that were logged to W&B offline, without its own columns."""
    rows = []
    for record in records(folder):
        if record.WhichOneof("record_type") == "history":
            row = {
                item.key or "/".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            }
            rows.append({key: value for key, value in row.items() if not key.startswith("_")})
    return rows
