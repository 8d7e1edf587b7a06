"""The files for clusters fit each other and the command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml

from nas_search.commands.command import CONF
from nas_search.commands.search_schema import read_config

CLUSTER = Path(__file__).parents[1] / "examples" / "cluster"


def objects() -> dict[str, Any]:
    text = (CLUSTER / "kubernetes.yaml").read_text(encoding="utf-8")
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def test_the_search_on_kubernetes_finds_its_scheduler_and_its_folder() -> None:
    made = objects()
    assert set(made) == {"DaskCluster", "PersistentVolumeClaim", "Job"}
    (search,) = made["Job"]["spec"]["template"]["spec"]["containers"]
    python, flag, module, *arguments = search["command"]
    assert (python, flag, module) == ("python", "-m", "nas_search")
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        kept = [one for one in arguments if not one.startswith("hydra.")]
        config = read_config(hydra.compose("config", overrides=kept))
    cluster = made["DaskCluster"]
    service = cluster["spec"]["scheduler"]["service"]
    port = next(p["port"] for p in service["ports"] if p["name"] == "tcp-comm")
    assert config.executor.name == "dask"
    assert config.executor.address == f"tcp://{cluster['metadata']['name']}-scheduler:{port}"
    assert service["selector"]["dask.org/cluster-name"] == cluster["metadata"]["name"]
    (mount,) = search["volumeMounts"]
    assert any(one.startswith(f"hydra.run.dir={mount['mountPath']}/") for one in arguments)
    (volume,) = made["Job"]["spec"]["template"]["spec"]["volumes"]
    claim = made["PersistentVolumeClaim"]["metadata"]["name"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim
    images = re.findall(r"image: (.*)", (CLUSTER / "kubernetes.yaml").read_text())
    assert len(images) == 3 and len(set(images)) == 1


@pytest.mark.slow
def test_the_script_for_slurm_makes_the_job_of_a_worker() -> None:
    pytest.importorskip("dask_jobqueue")
    done = subprocess.run(
        [sys.executable, str(CLUSTER / "slurm.py"), "--partition", "p7", "--gpu", "--show"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "#SBATCH -p p7" in done.stdout and "--gres=gpu:1" in done.stdout
    assert re.search(r"dask_worker tcp://.* --nthreads 1", done.stdout)


SCONTROL = """#!/bin/sh
echo "$@" >> requeued
"""

SEARCH = """#!/bin/sh
echo "$@" >> started
trap 'echo stopped >> started; exit 143' TERM
touch ready
test -f waits && while :; do sleep 0.05; done
exit 3
"""


def batch(folder: Path, signals: signal.Signals | None = None) -> int:
    """Run the file for sbatch with a search and a Slurm that write down what they are asked."""
    (folder / "ready").unlink(missing_ok=True)
    for name, text in (("scontrol", SCONTROL), ("python", SEARCH)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    job = subprocess.Popen(
        ["bash", str(CLUSTER / "search.sbatch"), "search_space=darts", "seed=1"],
        cwd=folder, env={**os.environ, "PATH": path, "SLURM_JOB_ID": "7"},
    )  # fmt: skip
    if signals is not None:
        for _ in range(200):
            if (folder / "ready").exists():
                break
            time.sleep(0.05)
        job.send_signal(signals)
    return job.wait(timeout=20)


def test_the_job_of_a_search_is_queued_again_when_its_time_is_up_and_only_then(
    tmp_path: Path,
) -> None:
    assert batch(tmp_path) == 3  # its own exit code
    command = "-m nas_search hydra.run.dir=outputs/7 search_space=darts seed=1\n"
    assert (tmp_path / "started").read_text() == command
    (tmp_path / "waits").touch()
    assert batch(tmp_path, signal.SIGTERM) == 143  # scancel
    assert not (tmp_path / "requeued").exists()
    assert batch(tmp_path, signal.SIGUSR1) == 0
    assert (tmp_path / "requeued").read_text() == "requeue 7\n"
    assert (tmp_path / "started").read_text().endswith("stopped\n")
