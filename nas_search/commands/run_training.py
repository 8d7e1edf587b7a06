"""A whole training: finalists, device, versions and views put together."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from nas_search import report
from nas_search.commands.run_folder import keep_configuration
from nas_search.commands.said_of_data import say
from nas_search.commands.screen import prose
from nas_search.commands.train_schema import TrainConfig
from nas_search.core.device import resolve_device
from nas_search.core.errors import InputError
from nas_search.core.versions import versions
from nas_search.training import Finalist, Renderers, TrainingPlan, train_finalists


def run_training(config: TrainConfig, directory: Path, console: Console) -> list[Finalist]:
    """Train, or continue the training that ``directory`` holds, and write its folders there.

    Args:
        config: what to do.
        directory: the run directory; exists.
        console: where progress and the final table go.

    Returns:
        The finalists, best first.

    Raises:
        InputError: the request cannot be carried out as written.
        RunError: none could be trained, or the winner not tested.
    """
    plan = TrainingPlan(
        config.recipe,
        config.finalists,
        resolve_device(config.device),
        versions(),
        config.pretrained,
    )
    say(config.data, console)
    if config.remark:
        prose(console, config.remark)
    views = Renderers(report.learning_curve, report.finalists_table)
    accepted = True
    try:
        return train_finalists(config.candidates, config.data, plan, directory, console, views)
    except InputError:
        accepted = False
        raise
    finally:
        if accepted and os.environ.get("RANK", "0") == "0":
            keep_configuration(config.composed, directory, "train")
