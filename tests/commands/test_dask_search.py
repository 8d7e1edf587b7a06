"""A search on a real Dask cluster on loopback: one worker, four, killed ones, a lost scheduler."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands.test_search import Ended, call, rows, start, wait_for  # noqa: F401

pytestmark = pytest.mark.slow
distributed = pytest.importorskip("distributed")

Call = Callable[..., Ended]
SMALL = (
    "search_space=nasbench201",
    "search_space.cells=1",
    "search_space.channels=4",
    "proxy.batch_size=10",
    "dataset.size=8",
    "algorithm.population=8",
    "algorithm.tournament=3",
    "budget.evaluations=24",
)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Cluster:
    """A scheduler and workers, each a process of its own as on other machines."""

    def __init__(self, folder: Path, plugins: Path | None = None) -> None:
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._folder = folder
        here = [str(Path(__file__).parents[2]), *([str(plugins)] if plugins else [])]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(here)}
        self._environment["OMP_NUM_THREADS"] = "1"
        self.scheduler = self._start("scheduler", "--port", str(self.port), "--no-dashboard")
        self.workers: list[subprocess.Popen[bytes]] = []

    def add(self, count: int) -> None:
        """Start workers, and wait until the scheduler knows them."""
        for _ in range(count):
            self.workers.append(
                self._start(
                    "worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny"
                )
            )
        with distributed.Client(self.address, timeout=120) as client:
            alive = sum(worker.poll() is None for worker in self.workers)
            client.wait_for_workers(alive, timeout=180)

    def kill(self, worker: int) -> None:
        self.workers[worker].kill()
        self.workers[worker].wait()

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "distributed.cli.dask_" + kind,
                "--host",
                "127.0.0.1",
                *arguments,
            ],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    made = Cluster(folder)
    try:
        made.add(workers)
        yield made
    finally:
        made.end()


def told(directory: Path) -> list[tuple[str, ...]]:
    keys = ("genotype", "status", "gradalign", "reason")
    return [tuple(row[key] for key in keys) for row in rows(directory / "history.csv")]


def on(address: str) -> tuple[str, ...]:
    return ("executor=dask", f"executor.address={address}")


def test_one_worker_four_and_killed_ones_give_the_same_history(
    call: Call,  # noqa: F811
    tmp_path: Path,
) -> None:
    assert call("hydra.run.dir=alone", "executor=inline", base=SMALL).code == 0
    with cluster(tmp_path, 1) as made:
        assert call("hydra.run.dir=one", *on(made.address), base=SMALL).code == 0
        made.add(3)
        assert call("hydra.run.dir=four", *on(made.address), base=SMALL).code == 0
        process = start(tmp_path / "killed", *SMALL, *on(made.address), base=())
        wait_for(tmp_path / "killed", 8, process)
        made.kill(0)  # what it scored is scored again by others
        wait_for(tmp_path / "killed", 16, process)
        made.kill(1)
        made.add(1)  # one that comes later is told what to score
        made.kill(2)
        _, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
    histories = [told(tmp_path / name) for name in ("alone", "one", "four", "killed")]
    assert len(histories[0]) == 24
    assert all(history == histories[0] for history in histories)


def test_a_scheduler_that_goes_ends_in_one_line_and_the_command_continues(
    call: Call,  # noqa: F811
    tmp_path: Path,
) -> None:
    with cluster(tmp_path, 2) as made:
        process = start(tmp_path / "run", *SMALL, *on(made.address), base=())
        wait_for(tmp_path / "run", 10, process)
        made.scheduler.send_signal(signal.SIGKILL)
        begun = time.monotonic()
        _, err = process.communicate(timeout=180)
        assert process.returncode == 1, err
        assert time.monotonic() - begun < 120
        (line,) = err.splitlines()
        assert f"the Dask scheduler at {made.address} is gone" in line
        assert "repeat the command: it continues" in line
    with cluster(tmp_path, 1) as again:
        assert call("hydra.run.dir=run", *on(again.address), base=SMALL).code == 0
    assert call("hydra.run.dir=alone", "executor=inline", base=SMALL).code == 0
    assert told(tmp_path / "run") == told(tmp_path / "alone")


PLUGIN = """
from nas_search.proxies import PROXIES, Measurement, ProxyRecord


def most_opposed(measurement: Measurement) -> float:
    return measurement.cosines.min().item()


PROXIES.add(
    ProxyRecord("most_opposed", most_opposed, "sample", "ours", "this test", "smallest cosine")
)
"""


def test_a_plugin_that_workers_lack_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(PLUGIN)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    mine = (*SMALL, "plugins=[mine]", "proxy.name=most_opposed", "budget.evaluations=8")
    with cluster(elsewhere, 1) as made:
        process = start(tmp_path / "lacking", *mine, *on(made.address), base=())
        _, err = process.communicate(timeout=180)
        assert process.returncode == 2, err
        (line,) = err.splitlines()
        assert "a Dask worker cannot import" in line and "mine" in line
    with cluster(tmp_path, 1) as made:  # started where the module lies
        process = start(tmp_path / "having", *mine, *on(made.address), base=())
        _, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
