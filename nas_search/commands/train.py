"""``python -m nas_search.train``: train finalists or architectures of your own."""

from __future__ import annotations

import os
from typing import NoReturn

import hydra
from omegaconf import DictConfig

from nas_search.commands.command import CONF, Command

_COMMAND = Command("nas_search.train")


@hydra.main(config_path=CONF, config_name="train", version_base="1.3")
def _train(config: DictConfig) -> None:
    with _COMMAND.job() as directory:
        from nas_search.commands.pages import write_after
        from nas_search.commands.run_training import run_training
        from nas_search.commands.screen import screen
        from nas_search.commands.train_schema import read_train_config

        console = screen()
        run_training(read_train_config(config), directory, console)
        if os.environ.get("RANK", "0") == "0":
            write_after(directory, console)


def main() -> NoReturn:
    """Run the command; see :meth:`.Command.main` for its exit codes."""
    _COMMAND.main(_train)
