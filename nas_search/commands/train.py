"""``python -m nas_search.train``: train finalists or architectures of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from nas_search.commands.command import CONF, Command

_COMMAND = Command("nas_search.train")


@hydra.main(config_path=CONF, config_name="train", version_base="1.3")
def _train(config: DictConfig) -> None:
    from nas_search import report
    from nas_search.commands.search import versions
    from nas_search.commands.train_schema import read_train_config
    from nas_search.core.device import resolve_device
    from nas_search.training import Renderers, TrainingPlan, train_finalists

    with _COMMAND.job():
        directory = Path(HydraConfig.get().runtime.output_dir)
        wanted = read_train_config(config)
        plan = TrainingPlan(
            wanted.recipe,
            wanted.finalists,
            resolve_device(wanted.device),
            versions(),
            wanted.pretrained,
        )
        views = Renderers(report.learning_curve, report.finalists_table)
        train_finalists(wanted.candidates, wanted.data, plan, directory, Console(), views)


def main() -> NoReturn:
    """Run the command; exit code 0, 2 (bad input) or 1 (failure)."""
    _COMMAND.main(_train)


if __name__ == "__main__":
    main()
