"""Scoring on the workers of a Dask cluster, each of one thread.

What is scored is sent once to each worker by a plugin of Dask's, which new workers get too; were it
data on the cluster, it would be lost with the worker that holds it. Dask repeats by itself what a
dying worker computed, and gives up after some deaths.
"""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import CancelledError
from functools import partial
from time import monotonic
from typing import Any
from uuid import uuid4

from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import Evaluation
from nas_search.core.installed import how_to_install
from nas_search.scoring.executor import Executor, cores
from nas_search.scoring.inline_workers import evaluator_here, of, within
from nas_search.scoring.joint_scorer import JointScorer, Tasks
from nas_search.scoring.open_jobs import failed
from nas_search.scoring.process_workers import handed_over
from nas_search.scoring.scorer import stacks
from nas_search.scoring.work import Work
from nas_search.scoring.worker_process import Message, raised, unpickled

ANSWER_SECONDS = 20
"""How long one waits for the scheduler."""

WORKER_SECONDS = 60
"""How long one waits for a first worker, or for another when all have gone."""


class DaskWorkers:
    """Scores on a Dask cluster; see :class:`nas_search.scoring.Workers`.

    Raises:
        InputError: Dask is not installed, the scheduler does not answer or has no workers, or they
            lack this package.
    """

    def __init__(self, tasks: Tasks | tuple[Work], executor: Executor) -> None:
        try:
            from distributed import Client, KilledWorker, LocalCluster
        except ImportError:
            raise InputError(
                f"executor=dask needs the package 'distributed': {how_to_install('dask')}"
            ) from None
        self._cluster: Any = None
        if executor.address is None:
            self._cluster = LocalCluster(
                n_workers=executor.workers or cores(),
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,  # what goes wrong is said by us, in one line
            )
        try:
            self._client: Any = Client(self._cluster or executor.address, timeout=ANSWER_SECONDS)
        except (OSError, ValueError) as error:
            raise InputError(
                f"no Dask scheduler answers at executor.address={executor.address} within "
                f"{ANSWER_SECONDS} s ({error}); start one with: dask scheduler"
            ) from None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._address = getattr(self._client.scheduler, "address", executor.address)
        self._where = f"the Dask scheduler at {self._address}"
        self._handed_over = partial(handed_over, tasks, executor)
        self._task = tasks[0]
        self._name = f"nas_search-{uuid4()}"
        self._killed_worker = KilledWorker
        try:
            self._bring(pickle.dumps(tasks), executor)
        except BaseException:
            self.close()
            raise

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        """Yield the evaluations of genotypes[start:stop], in order."""
        chosen = list(stacks(len(genotypes), self._handed_over(len(genotypes)), start, stop))
        futures = [self._submit(of(genotypes, numbers)) for numbers in chosen]
        for numbers, future in zip(chosen, futures, strict=True):
            try:
                evaluations = self._result(future)
            except self._killed_worker:
                evaluations = [self._again(genotype) for genotype in of(genotypes, numbers)]
            yield from within(numbers, evaluations, start, stop)

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def _bring(self, tasks: bytes, executor: Executor) -> None:
        """Send what is scored to every worker, and wait for a first one."""
        from distributed import TimeoutError as NoWorker

        try:
            self._client.register_plugin(_plugin(tasks, executor), name=self._name)
        except ImportError as error:
            raise self._lacks(error) from None
        try:
            self._client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except NoWorker:
            raise InputError(
                f"{self._where} has had no worker for {WORKER_SECONDS} s; start some with: "
                f"dask worker {self._address}"
            ) from None

    def _submit(self, genotypes: list[Hashable]) -> Any:
        """Ask for the evaluations of a stack."""
        return self._client.submit(_evaluate_there, self._name, genotypes, pure=False)

    def _result(self, future: Any) -> list[Evaluation]:
        """Wait for the evaluations of a stack.

        Raises:
            InputError: what is scored cannot be, as :meth:`.JointScorer.evaluate` says.
            RunError: the scheduler is gone, or all workers.
        """
        from distributed import TimeoutError as NotYet

        seen = monotonic()
        while True:
            try:
                kind, content = future.result(timeout=5)
            except NotYet:
                seen = monotonic() if self._has_workers() else seen
                if monotonic() - seen < WORKER_SECONDS:
                    continue
                raise RunError(
                    f"{self._where} has had no worker for {WORKER_SECONDS} s; start some and "
                    "repeat the command: it continues"
                ) from None
            except (CancelledError, OSError) as error:
                raise self._gone(error) from None
            except ImportError as error:
                raise self._lacks(error) from None
            if kind == "failed":
                raise raised(content)
            evaluations: list[Evaluation] = content
            return evaluations

    def _has_workers(self) -> bool:
        try:
            return bool(self._client.nthreads())
        except (CancelledError, OSError, RuntimeError) as error:
            raise self._gone(error) from None

    def _lacks(self, error: ImportError) -> InputError:
        return InputError(
            f"a worker of {self._where} cannot import this package ({error}); install the same "
            "version there"
        )

    def _gone(self, error: BaseException) -> RunError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return RunError(
            f"{self._where} is gone ({reason}); start it and repeat the command: it continues"
        )

    def _again(self, genotype: Hashable) -> Evaluation:
        """Evaluate one candidate by itself, after workers that scored it, or others, died."""
        try:
            (evaluation,) = self._result(self._submit([genotype]))
            return evaluation
        except self._killed_worker:
            reason = "the Dask workers that scored it died (out of memory?)"
            return failed(self._task, genotype, reason)


def _plugin(tasks: bytes, executor: Executor) -> Any:
    from distributed import WorkerPlugin

    class _Brought(WorkerPlugin):
        """What a worker scores; the scorer is made when it is first asked for one."""

        content = (tasks, executor)
        scorer: JointScorer | None = None

    return _Brought()


def _evaluate_there(name: str, genotypes: Sequence[Hashable]) -> Message:
    """Score on a worker of the cluster; errors are values, which no log prints."""
    from distributed import get_worker

    plugin: Any = get_worker().plugins[name]
    try:
        if plugin.scorer is None:
            tasks, executor = plugin.content
            plugin.scorer = evaluator_here(unpickled(tasks, "Dask worker"), executor)
        return "done", plugin.scorer.evaluate(genotypes)
    except (Exception, SystemExit) as error:
        lines = " ".join(str(error).split())
        return "failed", (type(error).__name__, lines, traceback.format_exc())
