"""Weights & Biases: a run there per search, offline (``WANDB_MODE=offline``) or online."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_search.bridges.bridge import BRIDGES, BridgeRecord
from nas_search.core.errors import InputError
from nas_search.core.files import write_text

PROJECT = "nas_search"
"""Project of a run, unless ``WANDB_PROJECT`` names another."""


class WeightsAndBiases:
    """Logs the numbers of an evaluation over ``evaluation``, those of a training over ``epoch``.

    The id of the run is kept in the folder, so a search that is continued goes on in the same
    run. Everything else is W&B's own to configure, by its variables ``WANDB_...``.

    Raises:
        InputError: W&B cannot start so, e.g. for want of a login.
    """

    def __init__(self, folder: Path, parameters: Mapping[str, Any], continued: bool) -> None:
        import wandb

        directory = folder.parent.absolute()
        try:
            self._run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                dir=str(directory),
                id=run_id(folder),
                name=os.environ.get("WANDB_NAME", "/".join(directory.parts[-2:])),
                resume="allow",
                config=dict(parameters),
                settings=wandb.Settings(console="off", silent=True),
            )
        except Exception as error:  # W&B raises a dozen types, some of them its own service's
            if refused := _refused_setting(error):
                raise InputError(f"bridges=[wandb] cannot start: {refused}") from None
            reason = " ".join(str(error).split())
            raise InputError(
                f"bridges=[wandb] cannot start ({reason}); log in by `wandb login`, or set "
                "WANDB_MODE=offline to keep everything on this disk"
            ) from None
        self._run.define_metric("evaluation")
        for name in ("score/*", "best/*", "cost/*", "count/*", "seconds"):
            self._run.define_metric(name, step_metric="evaluation")
        self._trainings: set[str] = set()

    def evaluation(self, number: int, values: Mapping[str, float]) -> None:
        """Log the numbers of an evaluation."""
        self._run.log({"evaluation": number, **values})

    def epoch(self, training: str, number: int, values: Mapping[str, float]) -> None:
        """Log a row of a learning curve, with an epoch of its own to be drawn over."""
        if training not in self._trainings:
            self._trainings.add(training)
            self._run.define_metric(f"{training}/*", step_metric=f"{training}/epoch")
        self._run.log({f"{training}/{name}": v for name, v in {**values, "epoch": number}.items()})

    def close(self) -> None:
        """Hand everything over; online, this waits for the network."""
        self._run.finish()


def _refused_setting(error: Exception) -> str:
    """Return which of W&B's settings is impossible, and what is possible; empty if none is.

    W&B checks them by pydantic, whose own message has four lines and the address of a page.
    """
    if not callable(details := getattr(error, "errors", None)):
        return ""
    first = details()[0]
    name = ".".join(map(str, first["loc"]))
    told = f"{first['msg'][0].lower()}{first['msg'][1:]}"
    return f"WANDB_{name.upper()}={first['input']}: {' '.join(told.split())}"


def run_id(folder: Path) -> str:
    """Return the run's id in W&B, which the bridge's folder keeps; a new folder, a new one."""
    file = folder / "id.txt"
    if not file.exists():
        write_text(file, secrets.token_hex(8))
    return file.read_text(encoding="utf-8")


BRIDGES.add(BridgeRecord("wandb", "wandb", "wandb", WeightsAndBiases))
