"""``python -m nas_search.rank``: how well scores rank the architectures of a table."""

from __future__ import annotations

from typing import NoReturn

import hydra
from omegaconf import DictConfig

from nas_search.commands.command import CONF, Command

_COMMAND = Command("nas_search.rank")


@hydra.main(config_path=CONF, config_name="rank", version_base="1.3")
def _rank(config: DictConfig) -> None:
    with _COMMAND.job() as directory:
        from nas_search.commands.pages import write_after
        from nas_search.commands.rank_schema import read_rank_config
        from nas_search.commands.run_ranking import run_ranking
        from nas_search.commands.screen import screen

        console = screen()
        run_ranking(read_rank_config(config), directory, console)
        write_after(directory, console)


def main() -> NoReturn:
    """Run the command; see :meth:`.Command.main` for its exit codes."""
    _COMMAND.main(_rank)
