"""``python -m nas_search.rank``: how well scores rank the architectures of a table."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_search.commands.command import CONF, Command

_COMMAND = Command("nas_search.rank")


@hydra.main(config_path=CONF, config_name="rank", version_base="1.3")
def _rank(config: DictConfig) -> None:
    from rich.console import Console

    from nas_search.commands.rank_schema import read_rank_config
    from nas_search.commands.run_ranking import run_ranking

    with _COMMAND.job():
        directory = Path(HydraConfig.get().runtime.output_dir)
        run_ranking(read_rank_config(config), directory, Console())


def main() -> NoReturn:
    """Run the command; exit code 0, 2 (bad input) or 1 (failure)."""
    _COMMAND.main(_rank)
