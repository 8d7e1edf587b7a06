"""TensorBoard: event files in ``tensorboard/`` of a run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_search.bridges.bridge import BRIDGES, BridgeRecord


class TensorBoard:
    """Writes a scalar per number, at the step of its evaluation, and flushes after each one.

    The hyperparameters are written once, for TensorBoard's HPARAMS tab, which compares the
    searches below one folder by the best that each has found so far.
    """

    def __init__(self, folder: Path, parameters: Mapping[str, Any], continued: bool) -> None:
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        self._writer: Any = SummaryWriter(str(folder))
        self._hparams = None if continued else lambda tags: hparams(dict(parameters), tags)

    def evaluation(self, number: int, values: Mapping[str, float]) -> None:
        """Write the numbers of an evaluation."""
        best = {name: 0.0 for name in values if name.startswith("best/")}
        if self._hparams is not None and best:
            for summary in self._hparams(best)[:2]:  # the third says that the search has ended
                self._writer.file_writer.add_summary(summary)
            self._hparams = None
        for name, value in values.items():
            self._writer.add_scalar(name, value, number)
        self._writer.flush()

    def epoch(self, training: str, number: int, values: Mapping[str, float]) -> None:
        """Write nothing: a training writes events of its own beside its ``log.csv``."""

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


BRIDGES.add(BridgeRecord("tensorboard", "tensorboard", "tensorboard", TensorBoard, curves=False))
