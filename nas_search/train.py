"""``python -m nas_search.train``: train finalists or architectures of one's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from nas_search.command import CONF, run, say_failure
from nas_search.errors import InputError, RunError

_exit_code = 0


@hydra.main(config_path=CONF, config_name="train", version_base="1.3")
def _command(config: DictConfig) -> None:
    from nas_search import report
    from nas_search.device import resolve_device
    from nas_search.run import versions
    from nas_search.train_config import read_train_config
    from nas_search.training import Plan, Views, confirm

    try:
        directory = Path(HydraConfig.get().runtime.output_dir)
        wanted = read_train_config(config)
        plan = Plan(
            wanted.recipe,
            wanted.finalists,
            resolve_device(wanted.device),
            versions(),
            wanted.pretrained,
        )
        views = Views(report.learning_curve, report.finalists_table)
        confirm(wanted.candidates, wanted.data, plan, directory, Console(), views)
    except OmegaConfBaseException as error:
        _fail(InputError(str(error)))
    except (InputError, RunError, OSError) as error:
        _fail(error)


def _fail(error: Exception) -> None:
    """Say what went wrong in one line and remember the exit code; one process of many speaks."""
    global _exit_code
    if os.environ.get("RANK", "0") == "0":
        _exit_code = max(_exit_code, say_failure(error, "nas_search.train"))
    else:
        _exit_code = 1


def main() -> None:
    """Run the command; exit code 0, 2 (bad input) or 1 (failure)."""
    run(_command, _fail)
    sys.exit(_exit_code)


if __name__ == "__main__":
    main()
