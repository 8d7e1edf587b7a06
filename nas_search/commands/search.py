"""``python -m nas_search``: one search, composed by Hydra."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import hydra
from omegaconf import DictConfig

from nas_search.commands.command import CONF, Command


def _after_sweep(directory: Path) -> None:
    from nas_search.commands.pages import write_after
    from nas_search.commands.screen import screen
    from nas_search.commands.sweep_report import print_sweep, write_sweep

    console = screen()
    jobs = print_sweep(directory, console)
    write_sweep(directory, jobs)
    if any(job.run is not None for job in jobs):
        write_after(directory, console)


_COMMAND = Command("nas_search", _after_sweep)


@hydra.main(config_path=CONF, config_name="config", version_base="1.3")
def _search(config: DictConfig) -> None:
    if _COMMAND.is_finished(config):
        return
    with _COMMAND.job(config) as directory:
        from nas_search.commands.search_values import refuse_early

        refuse_early(config)
        from nas_search.commands.run_search import run_search
        from nas_search.commands.screen import screen
        from nas_search.commands.search_schema import read_config

        outcome = run_search(read_config(config), directory, screen())
        if outcome.stop == "interrupted":
            raise KeyboardInterrupt  # which ends a whole sweep, not this job alone


def main() -> NoReturn:
    """Run the command; see :meth:`.Command.main` for its exit codes."""
    _COMMAND.main(_search)
