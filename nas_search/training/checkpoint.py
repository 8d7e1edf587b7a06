"""Atomic checkpoints: written to a file beside the old one, which then replaces it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch

from nas_search.core.errors import InputError, RunError


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file atomically: a killed process or a full disk leaves the previous file.

    Raises:
        RunError: the disk refuses; the previous file is kept.
    """
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save turns a full disk into RuntimeError
        beside.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise RunError(
            f"cannot write {path} ({reason}); free space and repeat the command: it continues "
            "after the last epoch that was written"
        ) from error


def save(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain values); see :func:`write_whole`."""
    write_whole(path, lambda file: torch.save(state, file))


def load(path: Path, device: str) -> dict[str, Any] | None:
    """Return the state that :func:`save` wrote, or None if there is no file.

    Raises:
        InputError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged file raises a dozen types
        raise InputError(
            f"{path} is damaged ({type(error).__name__}); delete it to train anew"
        ) from error
    return state


def on_disk(write: Callable[[], None]) -> None:
    """Call ``write`` for a file that can be made again from the checkpoints.

    Raises:
        RunError: the disk refuses.
    """
    try:
        write()
    except OSError as error:
        raise RunError(
            f"cannot write {error.filename2 or error.filename} ({error.strerror}); every trained "
            "epoch is in its checkpoint: free space and repeat the command"
        ) from error
