"""``python -m nas_search.inspect``: a look at the data before a search."""

from __future__ import annotations

from typing import NoReturn

import hydra
from omegaconf import DictConfig

from nas_search.commands.command import CONF, Command

_COMMAND = Command("nas_search.inspect")


@hydra.main(config_path=CONF, config_name="inspect", version_base="1.3")
def _inspect(config: DictConfig) -> None:
    with _COMMAND.job() as directory:
        from nas_search.commands.inspect_schema import read_inspect_config
        from nas_search.commands.run_inspect import run_inspect
        from nas_search.commands.screen import screen

        run_inspect(read_inspect_config(config), directory, screen())


def main() -> NoReturn:
    """Run the command; exit code 2 where a search would refuse the data, see :class:`.Command`."""
    _COMMAND.main(_inspect)
