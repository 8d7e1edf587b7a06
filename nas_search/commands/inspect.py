"""``python -m nas_search.inspect``: a look at the data before a search."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_search.commands.command import CONF, Command

_COMMAND = Command("nas_search.inspect")


@hydra.main(config_path=CONF, config_name="inspect", version_base="1.3")
def _inspect(config: DictConfig) -> None:
    from rich.console import Console

    from nas_search.commands.inspect_schema import read_inspect_config
    from nas_search.commands.run_inspect import run_inspect

    with _COMMAND.job():
        directory = Path(HydraConfig.get().runtime.output_dir)
        run_inspect(read_inspect_config(config), directory, Console())


def main() -> NoReturn:
    """Run the command; exit code 0, 2 (a search would refuse the data) or 1 (failure)."""
    _COMMAND.main(_inspect)
