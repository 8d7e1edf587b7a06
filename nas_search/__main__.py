"""``python -m nas_search``: one search, composed by Hydra."""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from nas_search.command import CONF, run, say_failure
from nas_search.errors import InputError, RunError

_exit_code = 0


@hydra.main(config_path=CONF, config_name="config", version_base="1.3")
def _command(config: DictConfig) -> None:
    """Run one job; a sweep goes on with the next one when this one fails."""
    from nas_search.config import read_config
    from nas_search.run import run_search

    try:
        directory = Path(HydraConfig.get().runtime.output_dir)
        outcome = run_search(read_config(config), directory, Console())
    except OmegaConfBaseException as error:
        _fail(InputError(str(error)))
    except (InputError, RunError, OSError) as error:
        _fail(error)
    else:
        if outcome.stop == "interrupted" and HydraConfig.get().mode == RunMode.MULTIRUN:
            raise KeyboardInterrupt  # Ctrl-C ends the whole sweep, not this job alone


def _fail(error: Exception) -> None:
    """Say what went wrong in one line and remember the exit code."""
    global _exit_code
    _exit_code = max(_exit_code, say_failure(error, "nas_search"))


def main() -> None:
    """Run the command; exit code 0, 2 (bad input) or 1 (failure)."""
    run(_command, _fail)
    sys.exit(_exit_code)


if __name__ == "__main__":
    main()
