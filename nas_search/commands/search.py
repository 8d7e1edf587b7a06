"""``python -m nas_search``: one search, composed by Hydra."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from nas_search.commands.command import CONF, Command

_COMMAND = Command("nas_search")


@hydra.main(config_path=CONF, config_name="config", version_base="1.3")
def _search(config: DictConfig) -> None:
    from rich.console import Console

    from nas_search.commands.run_search import run_search
    from nas_search.commands.search_schema import read_config

    with _COMMAND.job():
        directory = Path(HydraConfig.get().runtime.output_dir)
        outcome = run_search(read_config(config), directory, Console())
        if outcome.stop == "interrupted" and HydraConfig.get().mode == RunMode.MULTIRUN:
            raise KeyboardInterrupt  # Ctrl-C ends the whole sweep, not this job alone


def main() -> NoReturn:
    """Run the command; exit code 0, 2 (bad input) or 1 (failure)."""
    _COMMAND.main(_search)
