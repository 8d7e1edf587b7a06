"""One spawned process that scores: what it is sent, what it answers, and how it ended."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any, Literal

from nas_search.core.errors import InputError, RunError
from nas_search.core.garbage import keep_imports
from nas_search.scoring.executor import Executor
from nas_search.scoring.inline_workers import evaluator_here
from nas_search.scoring.joint_scorer import Tasks

Message = tuple[Literal["ready", "begun", "done", "failed", "died"], Any]
"""``ready`` once it can score; ``begun``, then ``done`` with the evaluations, for each request;
``failed`` with (kind of error, text, traceback); ``died`` when no other will come."""

OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
"""Exit codes of a process that somebody else ended: a person, or a machine short of memory."""


class WorkerProcess:
    """A spawned process with a scorer.

    Args:
        tasks: pickled :data:`.joint_scorer.Tasks`, on the device of this process.
        executor: threads, and candidates per stack.
        sharing: processes on that device, this one among them.

    Attributes:
        connection: readable when there is a message, or when the process has died.
        sentinel: readable when it has died.
        ready: whether it can score.
        cold: whether it has not scored anything yet.
    """

    def __init__(self, tasks: bytes, executor: Executor, sharing: int = 1) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, tasks, executor, sharing))
        with _interrupts_held_back():
            self._process.start()
        theirs.close()
        self.sentinel = self._process.sentinel
        self.ready, self.cold = False, True
        # No daemon, since a score may start processes too; but when this process leaves, it ends.
        self._kill = Finalize(self, _kill, (self._process,), exitpriority=10)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    def send(self, genotypes: Sequence[Hashable]) -> None:
        """Ask for the evaluations of ``genotypes``; if the process has died, nothing happens."""
        with suppress(OSError):
            self.connection.send(list(genotypes))

    def receive(self) -> Message:
        """Return the next message; waits for one, or for the end of the process."""
        if not self.alive and not self.connection.poll():
            return "died", None  # a process that it started may hold the connection open
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):
            return "died", None
        self.ready = self.ready or message[0] == "ready"
        return message

    def end(self) -> int:
        """End the process if it has not died, and return its exit code."""
        if not self.alive or self.connection.poll():
            self._process.join(timeout=1)  # it dies by itself, after its connection
        self._kill()
        self.connection.close()
        return self._process.exitcode or 0


def raised(failure: tuple[str, str, str]) -> Exception:
    """Return the exception that a worker's ``failed`` message stands for."""
    kind, text, trace = failure
    known = {"InputError": InputError, "RunError": RunError}.get(kind)
    if known is not None:
        return known(text)
    error = MemoryError(text) if kind == "MemoryError" else RuntimeError(f"{kind}: {text}")
    error.__cause__ = RuntimeError(f"in a worker process:\n{trace}")
    return error


def how_it_ended(code: int) -> str:
    """Return what an exit code says, e.g. ``killed by SIGKILL, out of memory?``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (", out of memory?" if code == -signal.SIGKILL else "")


def _kill(process: BaseProcess) -> None:
    process.kill()
    process.join()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start a process that Ctrl-C does not reach: it is for the parent, which ends its workers."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, tasks: bytes, executor: Executor, sharing: int) -> None:
    """Be a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        evaluator = evaluator_here(unpickled(tasks, "worker process"), executor, sharing)
        keep_imports()
        connection.send(("ready", None))
        while True:
            genotypes = connection.recv()
            connection.send(("begun", None))
            connection.send(("done", evaluator.evaluate(genotypes)))
    except EOFError:
        return
    except BaseException as error:  # SystemExit too: the parent must not end by it
        lines = " ".join(str(error).split())
        connection.send(("failed", (type(error).__name__, lines, traceback.format_exc())))


def unpickled(tasks: bytes, who: str) -> Tasks:
    """Return what ``who`` shall score.

    Raises:
        InputError: a part of it cannot be imported there.
    """
    try:
        there: Tasks = pickle.loads(tasks)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"a {who} cannot import what the score needs ({error}); define it in a module that "
            "'plugins' names, which must be found there too, e.g. with PYTHONPATH=FOLDER"
        ) from error
    return there


def _end_with_parent() -> None:
    """Leave when the parent is killed: nobody else would ever tell this process to."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
