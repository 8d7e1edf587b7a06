"""``python -m nas_search.train``: train finalists or architectures of your own."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_search.commands.command import CONF, Command

_COMMAND = Command("nas_search.train")


@hydra.main(config_path=CONF, config_name="train", version_base="1.3")
def _train(config: DictConfig) -> None:
    from rich.console import Console

    from nas_search.commands.run_training import run_training
    from nas_search.commands.train_schema import read_train_config

    with _COMMAND.job():
        directory = Path(HydraConfig.get().runtime.output_dir)
        run_training(read_train_config(config), directory, Console())


def main() -> NoReturn:
    """Run the command; exit code 0, 2 (bad input) or 1 (failure)."""
    _COMMAND.main(_train)
