"""One step's gradients recorded as a CUDA graph: one launch instead of thousands.

A step of a cell network is thousands of small kernels, and on a GPU most of the time goes by while
Python asks for them. A graph asks for all of them at once. It needs what does not change from step
to step: shapes, addresses and the kernels themselves. So whatever changes (augmentation, learning
rates, the optimizer, the average of weights) stays outside, and images of another shape, as those
of a smaller last batch, are trained one operation after another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 3
"""Steps before the recording, in which libraries choose kernels and make what they keep."""

Batch = tuple[Tensor, ...]
Work = Callable[..., Tensor]
Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Records what a function launches, and returns what launches it again."""


class GraphedStep:
    """Computes gradients, by a graph wherever a batch has the usual shapes.

    Args:
        work: maps a batch to a tensor of three sums, and leaves gradients in ``parameters``, whose
            former ones it forgets; waits for the device nowhere.
        parameters: what is trained.
        record: makes the graph; by default a CUDA graph.
        say: is told once why there is no graph, where recording it fails.
    """

    def __init__(
        self,
        work: Work,
        parameters: Sequence[Tensor],
        say: Callable[[str], None],
        record: Record | None = None,
    ) -> None:
        self._work, self._parameters, self._say = work, parameters, say
        self._record = record or record_on_gpu
        self._shapes: list[tuple[torch.Size, torch.dtype]] = []
        self._seen = 0
        self._replay: Callable[[], None] | None = None
        self._inputs: Batch = ()
        self._sums = torch.zeros(0)
        self._gradients: list[Tensor | None] = []
        self.broken = False

    def __call__(self, *batch: Tensor) -> Tensor:
        """Return the sums of a batch; the gradients are those of :attr:`work`."""
        shapes = [(tensor.shape, tensor.dtype) for tensor in batch]
        if not self._shapes:
            self._shapes = shapes
        if self.broken or shapes != self._shapes:
            return self._work(*batch)
        if self._seen < WARM_UP:
            self._seen += 1
            return beside(self._work, batch)
        if self._replay is None:
            try:
                self._capture(batch)
            except Exception as error:  # a kernel that cannot be recorded, or too little memory
                self._give_up(error)
                return self._work(*batch)
        for mine, given in zip(self._inputs, batch, strict=True):
            mine.copy_(given)
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        assert self._replay is not None
        self._replay()
        return self._sums

    def forget(self) -> None:
        """Train one operation after another from now on, with the graph's memory free."""
        self.broken, self._replay, self._inputs, self._gradients = True, None, (), []
        self._sums = torch.zeros(0)

    def _capture(self, batch: Batch) -> None:
        self._inputs = tuple(tensor.clone() for tensor in batch)
        self._sums = torch.zeros(3, dtype=torch.float64, device=batch[0].device)

        def run() -> None:
            self._sums.copy_(self._work(*self._inputs))

        self._replay = self._record(run)
        self._gradients = [parameter.grad for parameter in self._parameters]

    def _give_up(self, error: Exception) -> None:
        self.forget()
        for parameter in self._parameters:
            parameter.grad = None
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        self._say(
            f"no CUDA graph of the training steps ({reason}); they run one operation after "
            "another, which is slower (recipe.cuda_graph=false says nothing)"
        )


def beside(work: Work, batch: Batch) -> Tensor:
    """Return ``work(*batch)``, done on a stream beside the usual one, as before a recording."""
    if batch[0].device.type != "cuda":
        return work(*batch)
    usual, other = torch.cuda.current_stream(), torch.cuda.Stream()
    other.wait_stream(usual)
    with torch.cuda.stream(other):
        sums = work(*batch)
    usual.wait_stream(other)
    return sums


def record_on_gpu(run: Callable[[], None]) -> Callable[[], None]:
    """Return what replays the kernels that ``run`` launches; nothing is computed yet."""
    graph = torch.cuda.CUDAGraph()
    # Other threads may read images meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        run()
    return graph.replay
