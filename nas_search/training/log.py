"""Progress of a training: one console line per epoch, and TensorBoard on request."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console

from nas_search.core.errors import InputError
from nas_search.core.installed import how_to_install
from nas_search.training.finalist import TrainingPlan
from nas_search.training.loop import Epoch

COLLAPSE = 4
"""An epoch that is so many times slower than the fastest before it is remarked on, once."""
_LONG = 2.0  # seconds; the speed of shorter epochs is chance


class TrainingLog:
    """Reports the epochs of one training; a context manager.

    Raises:
        InputError: TensorBoard is requested and not installed.
    """

    def __init__(
        self, folder: Path, console: Console, plan: TrainingPlan, key: str, kind: str
    ) -> None:
        self._console, self._recipe, self._key, self._kind = console, plan.recipe, key, kind
        self._writer: Any = None
        self._seconds = self._fastest = 0.0
        self._slow_said = False
        if plan.finalists.tensorboard and not console.quiet:
            if importlib.util.find_spec("tensorboard") is None:
                raise InputError(
                    f"finalists.tensorboard=true needs tensorboard: {how_to_install('tensorboard')}"
                )
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder / "tensorboard"))

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def _speed(self, epoch: Epoch) -> None:
        """Say once that the training became much slower, and what to do."""
        lasted, self._seconds = epoch.seconds - self._seconds, epoch.seconds
        speed = epoch.images_per_second
        if lasted > _LONG and COLLAPSE * speed < self._fastest and not self._slow_said:
            self._slow_said = True
            self._console.print(
                f"{speed:.0f} {self._kind}/s instead of {self._fastest:.0f}: something else uses "
                "this machine; on a CPU finalists.threads=1 suffers less from it",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
        self._fastest = max(self._fastest, speed)

    def epoch(self, epoch: Epoch, seed: int) -> None:
        """Report the result of an epoch."""
        parts = [f"{self._key} seed {seed}", f"epoch {epoch.epoch}/{self._recipe.epochs}"]
        parts.append(f"loss {epoch.loss:.4f}")
        for name, value in (
            ("train", epoch.train_accuracy),
            ("validation", epoch.validation_accuracy),
        ):
            if not math.isnan(value):
                parts.append(f"{name} {value:.2f} %")
        left = (self._recipe.epochs - epoch.epoch) * epoch.seconds / epoch.epoch
        parts += [f"{epoch.images_per_second:.0f} {self._kind}/s", f"ETA {_clock(left)}"]
        self._console.print("  ".join(parts), highlight=False, soft_wrap=True)
        self._speed(epoch)
        if self._writer is not None:
            for name in ("loss", "train_accuracy", "validation_loss", "validation_accuracy", "lr"):
                self._writer.add_scalar(name, getattr(epoch, name), epoch.epoch)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
