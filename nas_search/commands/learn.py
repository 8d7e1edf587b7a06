"""``python -m nas_search.learn``: learn a prior from trained architectures."""

from __future__ import annotations

from typing import NoReturn

import hydra
from omegaconf import DictConfig

from nas_search.commands.command import CONF, Command

_COMMAND = Command("nas_search.learn", bare="paths")


@hydra.main(config_path=CONF, config_name="learn", version_base="1.3")
def _learn(config: DictConfig) -> None:
    with _COMMAND.job():
        from nas_search.commands.learn_schema import read_learn_config
        from nas_search.commands.run_learn import run_learn
        from nas_search.commands.screen import screen

        run_learn(read_learn_config(config), screen())


def main() -> NoReturn:
    """Run the command; see :meth:`.Command.main` for its exit codes."""
    _COMMAND.main(_learn)
